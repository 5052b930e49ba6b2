"""Renders the Helm chart as far as it goes without Helm, and looks at what comes out.

The chart keeps to a part of the template language: values, `quote`, `default`, `toJson`, `if` and
one `range`. Anything else is a failure here, so that the chart stays within what is checked.
"""

import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path(sys.argv[1])
TAG = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.S)


def lookup(scope, path):
    value = scope
    for part in path.lstrip(".").split("."):
        value = value[part]
    return value


def evaluate(scope, expression):
    head, *pipes = [part.strip() for part in expression.split("|")]
    value = scope["$"][head] if head.startswith("$") else lookup(scope, head)
    for pipe in pipes:
        name, *arguments = pipe.split()
        if name == "quote":
            value = json.dumps(str(value))
        elif name == "toJson":
            value = json.dumps(value)
        elif name == "default":
            value = value or lookup(scope, arguments[0])
        else:
            raise SystemExit(f"{name} is not checked here")
    return str(value)


def tokens(text):
    place = 0
    for tag in TAG.finditer(text):
        before = text[place : tag.start()]
        yield "text", before.rstrip(" \t\n") if tag[1] else before
        yield "tag", tag[2]
        place = tag.end()
        if tag[3]:
            place += len(text[place:]) - len(text[place:].lstrip())
    yield "text", text[place:]


def render(scope, stream):
    """Renders up to the end of the block."""
    out = []
    for kind, text in stream:
        if kind == "text":
            out.append(text)
        elif text == "end":
            break
        elif text.startswith("if "):
            inner = list(block(stream))
            if lookup(scope, text[3:]):
                out.append(render(scope, iter(inner)))
        elif text.startswith("range "):
            name, value, source = re.match(r"range (\$\w+), (\$\w+) := (\S+)$", text).groups()
            inner = list(block(stream))
            for key, item in lookup(scope, source).items():
                here = dict(scope, **{"$": {name: key, value: item}})
                out.append(render(here, iter(inner)))
        else:
            out.append(evaluate(scope, text))
    return "".join(out)


def block(stream):
    """The rest of a block, without its end."""
    depth = 1
    for kind, text in stream:
        if kind == "tag":
            depth += text.startswith(("if ", "range "))
            depth -= text == "end"
            if depth == 0:
                return
        yield kind, text


def manifests(**overrides):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path, value in overrides.items():
        *way, last = path.split("__")
        target = values
        for part in way:
            target = target[part]
        assert last in target, f"values.yaml has no {path}"
        target[last] = value
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    scope = {"Values": values, "Release": {"Name": "fire"}, "Chart": {"AppVersion": chart["appVersion"]}}
    found = {}
    for template in sorted((CHART / "templates").glob("*.yaml")):
        rendered = render(scope, iter(list(tokens(template.read_text()))))
        manifest = yaml.safe_load(rendered)
        if manifest:
            assert manifest["metadata"]["name"] == "fire" and manifest["apiVersion"], template
            found[manifest["kind"]] = manifest
    return found


def main():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["apiVersion"] == "v2" and chart["name"] == CHART.name
    plain = manifests()
    assert set(plain) == {"StatefulSet", "Service", "NetworkPolicy"}, set(plain)
    everything = manifests(
        replicas=3, existingSecret="mine", metrics__serviceMonitor=True, storage__className="fast", image__tag="9"
    )
    assert "ServiceMonitor" in everything
    for found in (plain, everything):
        pod = found["StatefulSet"]["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert found["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
        assert found["Service"]["spec"]["selector"] == labels
        assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
        (container,) = pod["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} == ports
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names)) and "WATCHFIRE_LOG" in names
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        claims = found["StatefulSet"]["spec"]["volumeClaimTemplates"]
        assert mounts == {claim["metadata"]["name"] for claim in claims}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert plain["StatefulSet"]["spec"]["replicas"] == 1
    assert everything["StatefulSet"]["spec"]["replicas"] == 3
    (container,) = plain["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"watchfire:{chart['appVersion']}" and "envFrom" not in container
    (container,) = everything["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "watchfire:9"
    assert container["envFrom"] == [{"secretRef": {"name": "mine"}}]
    assert everything["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    one = composed("compose.yaml")
    assert set(one["services"]) == {"watchfire", "prometheus"}
    cluster = composed("compose-cluster.yaml")
    nodes = [service for service in cluster["services"].values() if "build" in service]
    assert len(nodes) == 2
    # Nodes of one database need the same secrets and folders of their own.
    assert nodes[0]["environment"] == nodes[1]["environment"]
    assert not set(nodes[0]["volumes"]) & set(nodes[1]["volumes"])
    assert {"WATCHFIRE_DATABASE_URL", "WATCHFIRE_MASTER_KEY", "WATCHFIRE_JWT_SECRET"} <= set(
        nodes[0]["environment"]
    )


def composed(name):
    folder = CHART.parent.parent / "docker"
    compose = yaml.safe_load((folder / name).read_text())
    for service in compose["services"].values():
        if build := service.get("build"):
            assert (folder / build["context"] / build["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (folder / source).is_file(), volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port
        for needed in service.get("depends_on", []):
            assert needed in compose["services"], needed
    return compose


main()
