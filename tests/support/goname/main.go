// Reads image references, one JSON string a line, and prints what two Go libraries make of each, one JSON object a line.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
)

type parsed struct {
	OK         bool   `json:"ok"`
	Error      string `json:"error,omitempty"`
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
}

func distribution(text string) parsed {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return parsed{Error: err.Error()}
	}
	out := parsed{OK: true, Registry: reference.Domain(named), Repository: reference.Path(named)}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok {
		out.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		out.Digest = digested.Digest().String()
	}
	return out
}

func containerregistry(text string) parsed {
	ref, err := name.ParseReference(text)
	if err != nil {
		return parsed{Error: err.Error()}
	}
	out := parsed{OK: true, Registry: ref.Context().RegistryStr(), Repository: ref.Context().RepositoryStr()}
	switch ref := ref.(type) {
	case name.Tag:
		out.Tag = ref.TagStr()
	case name.Digest:
		out.Digest = ref.DigestStr()
	}
	return out
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var text string
		if err := json.Unmarshal(in.Bytes(), &text); err != nil {
			panic(err)
		}
		encoder.Encode(map[string]parsed{"distribution": distribution(text), "containerregistry": containerregistry(text)})
		out.Flush()
	}
}
