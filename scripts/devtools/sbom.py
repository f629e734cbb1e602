"""A software bill of materials for an archive of the plugin: CycloneDX 1.6, as JSON (cyclonedx.org/docs/1.6/json)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from .archive import File, PackageError

LOCKED = re.compile(r"(?m)^([\w.-]+)==([^\s;]+)[^\n]*((?:\n +--hash=sha256:[^\n]+)+)")
"""A package in requirements.txt: name, version, and lines with the hash of each of its files."""


class Package(NamedTuple):
    """A Python package that installing the plugin installs."""

    name: str
    version: str
    license: str
    summary: str | None
    sha256: tuple[str, ...]
    """Of each file on the index that the lock allows."""


def locked(requirements: str, wheels: Path) -> list[Package]:
    """What requirements.txt locks, with licences and summaries from the metadata of the wheels in a folder. Raises PackageError."""
    known = {
        plain_name(each.metadata["Name"]): each.metadata
        for path in wheels.glob("*.whl")
        for each in distributions(path=[str(path)])
    }
    packages = []
    for name, version, hashes in LOCKED.findall(requirements):
        metadata: Any = known.get(plain_name(name))
        if metadata is None or metadata["Version"] != version:
            raise PackageError(f"there is no wheel of {name} {version} to take its licence from")
        license_name = metadata.get("License-Expression") or metadata.get("License")
        if not license_name:
            raise PackageError(f"the wheel of {name} {version} does not name its licence")
        sha256 = tuple(sorted(re.findall(r"sha256:(\w+)", hashes)))
        packages.append(Package(plain_name(name), version, license_name, metadata.get("Summary"), sha256))
    return packages


def plain_name(name: str) -> str:
    """A package's name as the index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sbom(
    plugin_yaml: Mapping[str, str], archive: File, files: Iterable[File], packages: Iterable[Package], when: int
) -> str:
    """The document. The same archive always gets the same one: its serial number is made from the archive's hash."""
    plugin = Component(
        name="helm-pin",
        version=plugin_yaml["version"],
        type=ComponentType.APPLICATION,
        bom_ref="helm-pin",
        description=plugin_yaml["description"],
        licenses=[declared("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=archive.sha256)],
        components=[contained(file) for file in files],
    )
    installed = [component(package) for package in packages]
    metadata = BomMetaData(component=plugin, timestamp=datetime.fromtimestamp(when, timezone.utc))
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"sha256:{archive.sha256}"), metadata=metadata, components=installed)
    bom.register_dependency(plugin, installed)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def contained(file: File) -> Component:
    """A file in the archive."""
    return Component(
        name=file.name,
        type=ComponentType.FILE,
        bom_ref=f"file:{file.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
    )


def component(package: Package) -> Component:
    """A package. Its hashes stand at its distribution, since each is the hash of one file there, not of the package."""
    purl = PackageURL("pypi", name=package.name, version=package.version)
    distribution = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"https://pypi.org/simple/{package.name}/"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in package.sha256],
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        description=package.summary,
        licenses=[declared(package.license)],
        external_references=[distribution],
    )


def declared(license_name: str) -> Any:
    """A licence as its authors state it: an SPDX identifier or expression where it is one."""
    return LicenseFactory().make_from_string(license_name, license_acknowledgement=LicenseAcknowledgement.DECLARED)
