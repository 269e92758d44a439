"""Other people's libraries on what `vouch lineage --as` prints.

check.py FORM FILE [KEY.pem [WRONG.pem]]: exit 0 when they take it, and refuse
it under another key or altered.
"""
import json
import sys
import urllib.parse
import uuid
from datetime import datetime


def envelope(path, key_file, wrong_file):
    """securesystemslib: the DSSE envelope and its signature."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    with open(path) as f:
        lines = f.read().splitlines()
    assert len(lines) == 1, "one envelope a line, and one line"
    data = json.loads(lines[0])
    keyid = data["signatures"][0]["keyid"]
    assert keyid, "an empty keyid is refused by securesystemslib"

    def key(name):
        with open(name, "rb") as f:
            return SSlibKey.from_crypto(load_pem_public_key(f.read()), keyid=keyid)

    e = Envelope.from_dict(json.loads(lines[0]))
    assert set(e.verify([key(key_file)], 1)) == {keyid}
    for what in ("key", "payload", "type"):
        bad = Envelope.from_dict(json.loads(lines[0]))
        if what == "payload":
            bad.payload = bad.payload.replace(b"exact", b"exacT", 1)
        if what == "type":
            bad.payload_type += "2"
        try:
            bad.verify([key(wrong_file if what == "key" else key_file)], 1)
        except VerificationError:
            continue
        raise AssertionError("altered " + what + " verified")
    assert e.payload_type == "application/vnd.in-toto+json"
    return e.payload


def statement(payload, predicate):
    """in-toto-attestation: the statement and its predicate, no field unknown."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.link.v0 import link_pb2
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1 import statement_pb2

    pb = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(pb).validate()
    inside = json.dumps(json.loads(payload)["predicate"])
    if predicate == "slsa":
        assert pb.predicate_type == "https://slsa.dev/provenance/v1"
        p = json_format.Parse(inside, provenance_pb2.Provenance())
        assert p.build_definition.build_type and p.run_details.builder.id
        materials = p.build_definition.resolved_dependencies
    else:
        assert pb.predicate_type == "https://in-toto.io/attestation/link/v0.3"
        p = json_format.Parse(inside, link_pb2.Link())
        assert p.name
        materials = p.materials
    assert len(materials) > 0
    for m in materials:
        ResourceDescriptor.copy_from_pb(m).validate()


def prov(path):
    """prov: reads it, knows its parts, and writes the same again."""
    from prov import model

    with open(path) as f:
        doc = model.ProvDocument.deserialize(f, format="json")
    assert list(doc.get_records(model.ProvEntity))
    assert list(doc.get_records(model.ProvActivity))
    assert list(doc.get_records(model.ProvUsage))
    assert list(doc.get_records(model.ProvGeneration))
    assert not list(doc.get_records(model.ProvDerivation))
    for usage in doc.get_records(model.ProvUsage):
        assert doc.get_record(usage.args[0]) and doc.get_record(usage.args[1])
    again = model.ProvDocument.deserialize(
        content=doc.serialize(format="json"), format="json")
    assert again == doc
    assert "used(" in doc.get_provn()


def openlineage(path):
    """openlineage-python: its own classes take every event, with their checks."""
    import attr
    from openlineage.client.event_v2 import (
        InputDataset, Job, OutputDataset, Run, RunEvent, RunState)
    from openlineage.client.generated.dataset_version_dataset import (
        DatasetVersionDatasetFacet)
    from openlineage.client.serde import Serde

    def dataset(cls, d):
        v = d["facets"]["version"]
        assert set(v) == {"_producer", "_schemaURL", "datasetVersion"}
        facet = DatasetVersionDatasetFacet(datasetVersion=v["datasetVersion"])
        # the facet's own schema, but for its minor version
        assert v["_schemaURL"].split("#")[1] == facet._get_schema().split("#")[1]
        return cls(namespace=d["namespace"], name=d["name"], facets={"version": facet})

    with open(path) as f:
        events = [json.loads(line) for line in f]
    assert events
    for e in events:
        event = RunEvent(
            eventTime=e["eventTime"],
            producer=e["producer"],
            eventType=RunState[e["eventType"]],
            run=Run(runId=e["run"]["runId"]),
            job=Job(namespace=e["job"]["namespace"], name=e["job"]["name"]),
            inputs=[dataset(InputDataset, d) for d in e.get("inputs", [])],
            outputs=[dataset(OutputDataset, d) for d in e.get("outputs", [])])
        assert e["schemaURL"] == event._get_schema()
        known = {a.name for a in attr.fields(RunEvent)}
        assert set(e) <= known, set(e) - known
        back = json.loads(Serde.to_json(event))
        for k in ("eventTime", "eventType", "job"):
            assert back[k] == e[k] or back[k]["name"] == e[k]["name"], k
        assert back["run"]["runId"] == e["run"]["runId"]
        # what the schema asks for in words that the classes do not check
        assert datetime.fromisoformat(e["eventTime"].replace("Z", "+00:00")).tzinfo
        assert str(uuid.UUID(e["run"]["runId"])) == e["run"]["runId"]
        parts = [e["run"], e["job"], *e.get("inputs", []), *e.get("outputs", [])]
        for facet in (f for p in parts for f in p.get("facets", {}).values()):
            for uri in (facet["_producer"], facet["_schemaURL"], e["producer"]):
                assert urllib.parse.urlsplit(uri).scheme in ("urn", "https"), uri
        names = [(d["namespace"], d["name"]) for d in e.get("outputs", [])]
        assert all(isinstance(s, str) and s for n in names for s in n)
    types = [e["eventType"] for e in events]
    assert types in (["OTHER"], ["START", "COMPLETE"], ["START", "FAIL"]), types


def main():
    form, path = sys.argv[1:3]
    if form in ("in-toto", "slsa"):
        statement(envelope(path, sys.argv[3], sys.argv[4]), form)
    elif form == "prov":
        prov(path)
    elif form == "openlineage":
        openlineage(path)
    else:
        sys.exit("no such form")


main()
