#!/usr/bin/env python3
"""postman_collection.py [--check FILE] < openapi.json: a Postman collection (2.1) of the API.

Made from the OpenAPI document (`alertstream openapi`), one folder a tag, one request an operation,
with the document's examples as bodies. With --check compares with a file instead of printing.
Needs Python alone.
"""

import argparse
import json
import sys
import uuid

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
METHODS = ["get", "post", "put", "patch", "delete", "options"]
# By name in the document; a request takes the first of its alternatives.
VARIABLES = {
    "userToken": "access_token",
    "secretKey": "secret_key",
    "publishableKey": "publishable_key",
    "operatorKey": "operator_key",
    "signature": "signature",
    "twilioSignature": "twilio_signature",
}
# Signs method, path and body as X-Signature wants them; requests that need no signature are left
# alone.
SIGN = """const secret = pm.variables.get('signing_secret');
if (secret && pm.request.headers.has('X-Signature')) {
  // An earlier second, so that two equal requests in a row are signed differently.
  const at = Math.floor(Date.now() / 1000) - Math.floor(Math.random() * 120);
  const body = pm.request.body ? pm.variables.replaceIn(pm.request.body.raw || '') : '';
  const path = pm.variables.replaceIn(pm.request.url.getPathWithQuery());
  const signed = `${at}.${pm.request.method}.${path}\\n${body}`;
  const mac = CryptoJS.HmacSHA256(signed, secret).toString(CryptoJS.enc.Hex);
  pm.request.headers.upsert({key: 'X-Signature', value: `t=${at},v2=${mac}`});
}
"""


def resolve(document, value):
    while isinstance(value, dict) and "$ref" in value:
        target = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value


def sample(document, schema, depth=0):
    """A value as the schema describes one: its example, default or first choice, else any."""
    schema = resolve(document, schema)
    for word in ("example", "default", "const"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema or "anyOf" in schema:
        return sample(document, (schema.get("oneOf") or schema["anyOf"])[0], depth)
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        if depth > 4:
            return {}
        required = schema.get("required", [])
        members = schema.get("properties", {})
        return {name: sample(document, members[name], depth + 1)
                for name in required if name in members}
    if kind == "array":
        return [sample(document, schema.get("items", {}), depth + 1)]
    return {"integer": 1, "number": 1, "boolean": True, "string": "text"}.get(kind)


def body_of(document, operation):
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None, None
    media, described = next(iter(content.items()))
    if "example" in described:
        value = described["example"]
    elif "examples" in described:
        value = resolve(document, next(iter(described["examples"].values())))["value"]
    else:
        value = sample(document, described.get("schema", {}))
    if media == "application/x-www-form-urlencoded":
        fields = [{"key": name, "value": str(text)} for name, text in value.items()]
        return media, {"mode": "urlencoded", "urlencoded": fields}
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return media, {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}


def headers_of(document, operation, parameters, media):
    headers = []
    for alternative in operation.get("security", document.get("security", []))[:1]:
        for name in alternative:
            scheme = document["components"]["securitySchemes"][name]
            value = "{{%s}}" % VARIABLES.get(name, name)
            if scheme["type"] == "http":
                headers.append({"key": "Authorization", "value": "Bearer " + value})
            else:
                headers.append({"key": scheme["name"], "value": value})
    if media:
        headers.append({"key": "Content-Type", "value": media})
    named = {header["key"].lower() for header in headers}
    for parameter in parameters:
        if parameter["in"] == "header" and parameter["name"].lower() not in named:
            headers.append({
                "key": parameter["name"],
                "value": str(parameter.get("example", "")),
                "description": parameter.get("description", "").strip(),
                "disabled": not parameter.get("required", False),
            })
    return headers


def url_of(document, path, parameters):
    segments = [":" + part[1:-1] if part.startswith("{") else part
                for part in path.strip("/").split("/")]
    url = {"raw": "{{base_url}}/" + "/".join(segments), "host": ["{{base_url}}"], "path": segments}
    variables, query = [], []
    for parameter in parameters:
        value = parameter.get("example", sample(document, parameter.get("schema", {})))
        if parameter["in"] == "path":
            variables.append({"key": parameter["name"], "value": str(value)})
        elif parameter["in"] == "query":
            query.append({
                "key": parameter["name"],
                "value": "" if value == "text" else str(value),
                "description": parameter.get("description", "").strip(),
                "disabled": not parameter.get("required", False),
            })
    if variables:
        url["variable"] = variables
    if query:
        url["query"] = query
    return url


def request_of(document, path, shared, method, operation):
    parameters = [resolve(document, each) for each in shared + operation.get("parameters", [])]
    media, body = body_of(document, operation)
    request = {
        "method": method.upper(),
        "header": headers_of(document, operation, parameters, media),
        "url": url_of(document, path, parameters),
        "description": operation.get("description", "").strip(),
    }
    if body:
        request["body"] = body
    return {"name": operation["summary"], "request": request}


def collection_of(document):
    folders = {}
    for tag in document["tags"]:
        folders[tag["name"]] = {"name": tag["name"], "description": tag["description"], "item": []}
    for path, item in document["paths"].items():
        shared = item.get("parameters", [])
        for method in METHODS:
            if method in item:
                operation = item[method]
                request = request_of(document, path, shared, method, operation)
                folders[operation["tags"][0]]["item"].append(request)
    info = document["info"]
    variables = [{"key": "base_url", "value": "http://127.0.0.1:8080"}]
    variables += [{"key": name, "value": ""} for name in sorted(VARIABLES.values())]
    variables.append({"key": "signing_secret", "value": ""})
    return {
        "info": {
            # Made from the name, so that the same document gives the same file.
            "_postman_id": str(uuid.uuid5(uuid.NAMESPACE_URL, info["title"])),
            "name": info["title"],
            "description": info.get("description", "").strip(),
            "schema": SCHEMA,
        },
        "item": [folder for folder in folders.values() if folder["item"]],
        "event": [{"listen": "prerequest",
                   "script": {"type": "text/javascript", "exec": SIGN.splitlines()}}],
        "variable": variables,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", metavar="FILE",
                           help="exit 1 if FILE is not what would be printed")
    options = arguments.parse_args()
    text = json.dumps(collection_of(json.load(sys.stdin)), indent=1, ensure_ascii=False) + "\n"
    if not options.check:
        sys.stdout.write(text)
        return 0
    with open(options.check, encoding="utf-8") as file:
        if file.read() == text:
            return 0
    sys.stderr.write(f"{options.check} is not current; make it anew: alertstream openapi | "
                     f"api/docs/postman_collection.py > {options.check}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
