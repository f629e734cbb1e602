"""Charts: staging them, reading them, and what is written into them."""

OWN_FOLDER = "templates/helm-pin/"
"""The folder of a chart for the templates that helm-pin adds."""
