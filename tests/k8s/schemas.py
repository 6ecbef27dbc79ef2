# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own schemas of its objects (release 1.32), read strictly: an unknown field is an
error, as `kubectl apply` has it.

They come with tools/install test, from the PyPI package kubernetes-validate; custom resources from
../shared/data/crds.
"""

import functools
import json
import os
import pathlib

try:
    import jsonschema
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPS = pathlib.Path(os.environ.get("ATTNRL_DEPS_DIR", ROOT / ".deps"))
CORE = DEPS / "kubernetes_validate/kubernetes-json-schema/v1.32.0-local/_definitions.json"
CRDS = ROOT.parent / "shared/data/crds"
# Within these, values are restricted and no fields are named.
RESTRICTIONS = ("allOf", "anyOf", "oneOf", "not")


def unavailable():
    """Why nothing can be validated here; empty where it can."""
    if jsonschema is None:
        return (
            "the Python module jsonschema is missing "
            "(Debian's python3-jsonschema, installed by tools/install test)"
        )
    return "" if CORE.exists() else f"{CORE} is missing; tools/install test fetches it"


def closed(schema):
    """The schema with objects that allow no other properties than they list."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value if key in RESTRICTIONS else closed(value) for key, value in schema.items()}
    if is_open_by_omission(schema):
        out["additionalProperties"] = False
    return out


def is_open_by_omission(schema):
    """Whether it lists an object's properties and says nothing of others. Some say that the API
    server keeps unknown fields.
    """
    return (
        isinstance(schema.get("properties"), dict)
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    )


@functools.cache
def definitions():
    return closed(json.loads(CORE.read_text())["$defs"])


def allowed_values(schema, field):
    return schema.get("properties", {}).get(field, {}).get("enum", [])


def file_of(api_version, kind):
    """Where the schema of a custom resource would be; None for Kubernetes' own kinds."""
    group, _, version = api_version.rpartition("/")
    custom = "." in group and not group.endswith(".k8s.io")
    return CRDS / f"{kind}.{version}.json" if custom else None


def is_missing(doc):
    """Whether it is a custom resource on a machine without the folder of their schemas."""
    return file_of(doc["apiVersion"], doc["kind"]) is not None and not CRDS.is_dir()


@functools.cache
def validator(api_version, kind):
    """The validator of a kind; None where there is no such kind."""
    crd = file_of(api_version, kind)
    if crd is not None and crd.exists():
        return jsonschema.Draft4Validator(closed(json.loads(crd.read_text())["schema"]))
    for name, schema in definitions().items():
        kinds, versions = allowed_values(schema, "kind"), allowed_values(schema, "apiVersion")
        if kinds == [kind] and versions == [api_version]:
            root = {"$ref": f"#/$defs/{name}", "$defs": definitions()}
            return jsonschema.Draft202012Validator(root)
    return None


def violations(doc):
    """A sentence for each place where the document does not fit the schema of its kind. The jobs of
    a JobSet have to be Kubernetes' too.
    """
    jobs = doc["spec"].get("replicatedJobs", []) if doc.get("kind") == "JobSet" else []
    templates = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": job["name"]},
            **job["template"],
        }
        for job in jobs
    ]
    return [line for each in (doc, *templates) for line in violations_of(each)]


def violations_of(doc):
    found = validator(doc.get("apiVersion", ""), doc.get("kind", ""))
    if found is None:
        return [f"{doc.get('kind')} of {doc.get('apiVersion')}: there is no such kind"]
    name = f"{doc['kind']} {doc.get('metadata', {}).get('name')}"
    return [
        f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in found.iter_errors(doc)
    ]
