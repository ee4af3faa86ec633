"""Fetches the interface's description from a running node and says what is wrong with it.

The JSON and the YAML must be one document, valid as OpenAPI 3.1, and name no address outside the node.
"""

import json
import sys
import urllib.request

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator


def fetch(url, media_type):
    with urllib.request.urlopen(url, timeout=10) as answer:
        came = answer.headers["content-type"]
        if came.split(";")[0] != media_type:
            yield f"{url} is {came} and not {media_type}"
        return answer.read()


def addresses(value, where="#"):
    """Every text of the document that a reader's browser or tool could follow to somewhere else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("$ref", "url", "externalDocs") and isinstance(inner, str):
                if not inner.startswith(("#", "/")):
                    yield f"{where}/{name}: {inner}"
            yield from addresses(inner, f"{where}/{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from addresses(inner, f"{where}/{number}")


def findings(base):
    as_json = yield from fetch(f"{base}/openapi.json", "application/json")
    as_yaml = yield from fetch(f"{base}/openapi.yaml", "application/yaml")
    document = json.loads(as_json)
    if yaml.safe_load(as_yaml) != document:
        yield "the YAML and the JSON differ"
    if not document.get("openapi", "").startswith("3.1."):
        yield f"openapi is {document.get('openapi')!r}"
    if not document.get("paths"):
        yield "there are no paths"
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    for address in addresses(document):
        yield f"an address outside: {address}"


def main():
    found = list(findings(sys.argv[1]))
    for finding in found:
        print(finding, file=sys.stderr)
    print(f"openapi-spec-validator: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
