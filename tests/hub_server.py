"""A model hub in memory on loopback, for the real clients of Hugging Face and ModelScope.

It speaks as much of both hubs' HTTP as the clients need to fetch and to upload a model, and fails
on demand: a gated or missing repository, a connection that breaks in the middle of a file. It
remembers what it sent, byte by byte, and what was uploaded.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tests.loopback import LoopbackServer

LARGE = (".safetensors", ".bin")
"""Files that a hub keeps in large file storage."""


def git_sha(content: bytes) -> str:
    """The name of a file's content in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """Files at one commit; branch `main` (on ModelScope `master`) stands at it."""

    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = ""
    gated: bool = False
    private: bool = False

    def __post_init__(self) -> None:
        self.commit = self.commit or self.hashed()

    def hashed(self) -> str:
        content = json.dumps({name: git_sha(data) for name, data in sorted(self.files.items())})
        return hashlib.sha1(content.encode()).hexdigest()

    def has(self, revision: str) -> bool:
        return revision in (self.commit, "main", "master")


@dataclass
class Sent:
    """A piece of a file that went out: where it began and how many bytes left."""

    file: str
    start: int
    size: int


@dataclass
class HubServer(LoopbackServer):
    """Start with `with`; `url` is what HF_ENDPOINT or MODELSCOPE_ENDPOINT is set to."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    # Bytes after which the connection is cut, by file; then the file answers 503 until healed.
    breaks: dict[str, int] = field(default_factory=dict)
    # Once only: the connection is cut and the next request is served.
    hiccups: dict[str, int] = field(default_factory=dict)
    # The one token that may write, and whether storage for large files is full.
    token: str = "hf_writer"
    refuse_large_files: bool = False
    # What is said against every card, if anything.
    refused_card: str = ""
    sent: list[Sent] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    tokens_seen: set[str] = field(default_factory=set)
    large_files: dict[str, bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.address

    def application(self) -> web.Application:
        app = web.Application(client_max_size=2**26, middlewares=[self._note])
        repo = "{owner}/{name}"
        app.add_routes(
            [
                web.get(f"/api/models/{repo}", self._info),
                web.get(f"/api/models/{repo}/revision/{{revision}}", self._info),
                web.get(f"/api/models/{repo}/tree/{{revision}}", self._tree),
                web.get(f"/{repo}/resolve/{{revision}}/{{file}}", self._resolve),
                web.get(f"/api/datasets/{repo}", self._info),
                web.get(f"/api/datasets/{repo}/revision/{{revision}}", self._info),
                web.get(f"/api/datasets/{repo}/tree/{{revision}}", self._tree),
                web.get(f"/api/datasets/{repo}/tree/{{revision}}/{{path}}", self._tree),
                web.post(f"/api/datasets/{repo}/paths-info/{{revision}}", self._paths_info),
                web.get(f"/datasets/{repo}/resolve/{{revision}}/{{file}}", self._resolve),
                web.post("/api/repos/create", self._create),
                web.post("/api/validate-yaml", self._validate_card),
                web.post(f"/api/models/{repo}/preupload/{{revision}}", self._preupload),
                web.post(f"/{repo}.git/info/lfs/objects/batch", self._batch),
                web.put("/large/{oid}", self._put_large),
                web.post("/large/verify", self._verify_large),
                web.post(f"/api/models/{repo}/commit/{{revision}}", self._commit),
                web.get(f"/api/v1/models/{repo}/repo/files", self._model_scope_files),
                web.get(f"/api/v1/models/{repo}/repo", self._model_scope_file),
            ]
        )
        return app

    @web.middleware
    async def _note(self, http: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{http.method} {http.path}")
        self.tokens_seen.add(http.headers.get("Authorization", "").removeprefix("Bearer "))
        return await handler(http)

    # --- Hugging Face: reading

    def _repository(self, http: web.Request, revision: str) -> Repository:
        name = f"{http.match_info['owner']}/{http.match_info['name']}"
        found = self.repositories.get(name)
        if found is None:
            raise refusal(web.HTTPNotFound, "RepoNotFound", "Repository not found")
        if not found.has(revision):
            raise refusal(web.HTTPNotFound, "RevisionNotFound", "Invalid rev id")
        return found

    async def _info(self, http: web.Request) -> web.Response:
        repository = self._repository(http, http.match_info.get("revision", "main"))
        name = f"{http.match_info['owner']}/{http.match_info['name']}"
        siblings = [
            {"rfilename": entry["path"], "blobId": entry["oid"], "size": entry["size"]}
            | ({"lfs": large_entry(entry)} if "lfs" in entry else {})
            for entry in entries(repository)
        ]
        return web.json_response(
            {
                "id": name,
                "sha": repository.commit,
                "private": repository.private,
                "gated": repository.gated,
                "tags": [],
                "downloads": 0,
                "siblings": siblings,
            }
        )

    async def _tree(self, http: web.Request) -> web.Response:
        return web.json_response(entries(self._repository(http, http.match_info["revision"])))

    async def _paths_info(self, http: web.Request) -> web.Response:
        listed = entries(self._repository(http, http.match_info["revision"]))
        wanted = (await http.post()).getall("paths")
        return web.json_response([each for each in listed if each["path"] in wanted])

    async def _resolve(self, http: web.Request) -> web.StreamResponse:
        repository = self._repository(http, http.match_info["revision"])
        file = http.match_info["file"]
        if repository.gated:
            raise refusal(web.HTTPForbidden, "GatedRepo", "You are not in the authorized list")
        if file not in repository.files:
            raise refusal(web.HTTPNotFound, "EntryNotFound", "Entry not found")
        content = repository.files[file]
        large = file.endswith(LARGE)
        etag = hashlib.sha256(content).hexdigest() if large else git_sha(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": repository.commit}
        return await self._send(http, file, content, headers)

    async def _send(
        self, http: web.Request, file: str, content: bytes, headers: dict[str, str]
    ) -> web.StreamResponse:
        """The file or what follows the byte that a Range asks for, as far as the line holds."""
        if http.method == "GET" and file in self.breaks and self.breaks[file] < 0:
            raise web.HTTPServiceUnavailable
        start = int(http.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(http)
        if http.method == "HEAD":
            return response
        limit = self.hiccups.pop(file, self.breaks.get(file))
        sent = content[start:] if limit is None else content[start : start + limit]
        await response.write(sent)
        self.sent.append(Sent(file, start, len(sent)))
        if limit is None:
            await response.write_eof()
        else:
            if file in self.breaks:
                self.breaks[file] = -1
            assert http.transport is not None
            http.transport.close()
        return response

    # --- Hugging Face: writing

    def _check_writer(self, http: web.Request) -> None:
        token = http.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != self.token:
            # A careless server: what it says must not reach the user's screen.
            raise refusal(web.HTTPForbidden, "Forbidden", f"{token} may not write here")

    async def _create(self, http: web.Request) -> web.Response:
        self._check_writer(http)
        wanted = await http.json()
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.repositories:
            return web.json_response({"url": f"{self.url}/{name}"}, status=409)
        private = wanted.get("visibility") == "private"
        self.repositories[name] = Repository(private=private)
        return web.json_response({"url": f"{self.url}/{name}"})

    async def _validate_card(self, http: web.Request) -> web.Response:
        content = (await http.json())["content"]
        try:
            front = YAML(typ="safe").load(content.split("---\n")[1])
            complaint = self.refused_card if isinstance(front, dict) else "no mapping"
            errors = [{"message": complaint}] if complaint else []
        except (IndexError, YAMLError) as error:
            errors = [{"message": str(error)}]
        status = 400 if errors else 200
        return web.json_response({"errors": errors, "warnings": []}, status=status)

    async def _preupload(self, http: web.Request) -> web.Response:
        self._check_writer(http)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in (await http.json())["files"]
        ]
        return web.json_response({"files": files})

    async def _batch(self, http: web.Request) -> web.Response:
        self._check_writer(http)
        objects = [
            {
                "oid": each["oid"],
                "size": each["size"],
                "actions": {
                    "upload": {"href": f"{self.url}/large/{each['oid']}"},
                    "verify": {"href": f"{self.url}/large/verify"},
                },
            }
            for each in (await http.json())["objects"]
        ]
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _put_large(self, http: web.Request) -> web.Response:
        if self.refuse_large_files:
            raise web.HTTPInsufficientStorage
        self.large_files[http.match_info["oid"]] = await http.read()
        return web.Response()

    async def _verify_large(self, http: web.Request) -> web.Response:
        oid = (await http.json())["oid"]
        stored = self.large_files.get(oid, b"")
        return web.Response(status=200 if hashlib.sha256(stored).hexdigest() == oid else 422)

    async def _commit(self, http: web.Request) -> web.Response:
        self._check_writer(http)
        repository = self._repository(http, http.match_info["revision"])
        for line in (await http.text()).splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    repository.files[value["path"]] = self.large_files[value["oid"]]
                case "deletedFile":
                    del repository.files[value["path"]]
        repository.commit = repository.hashed()
        name = f"{http.match_info['owner']}/{http.match_info['name']}"
        return web.json_response(
            {
                "success": True,
                "commitOid": repository.commit,
                "commitUrl": f"{self.url}/{name}/commit/{repository.commit}",
            }
        )

    # --- ModelScope: reading

    def _model_scope_repository(self, http: web.Request) -> Repository:
        name = f"{http.match_info['owner']}/{http.match_info['name']}"
        found = self.repositories.get(name)
        if found is None or not found.has(http.query["Revision"]):
            message = json.dumps({"Code": 10010205001, "Message": "not found", "Success": False})
            raise web.HTTPNotFound(text=message, content_type="application/json")
        return found

    async def _model_scope_files(self, http: web.Request) -> web.Response:
        repository = self._model_scope_repository(http)
        files = [
            {
                "Path": name,
                "Name": name,
                "Type": "blob",
                "Size": len(content),
                "Sha256": hashlib.sha256(content).hexdigest(),
                "Revision": repository.commit,
                "CommittedDate": 1,
            }
            for name, content in repository.files.items()
        ]
        return web.json_response({"Code": 200, "Data": {"Files": files}, "Success": True})

    async def _model_scope_file(self, http: web.Request) -> web.StreamResponse:
        repository = self._model_scope_repository(http)
        if repository.gated:
            message = json.dumps({"Code": 10010205005, "Message": "gated", "Success": False})
            raise web.HTTPForbidden(text=message, content_type="application/json")
        file = http.query["FilePath"]
        return await self._send(http, file, repository.files[file], {})


def refusal(kind: type[web.HTTPClientError], code: str, message: str) -> web.HTTPClientError:
    """An error as Hugging Face words it: in headers."""
    return kind(headers={"X-Error-Code": code, "X-Error-Message": message})


def entries(repository: Repository) -> list[dict[str, Any]]:
    """The files as Hugging Face lists them."""
    listed = []
    for name, content in repository.files.items():
        entry: dict[str, Any] = {
            "type": "file",
            "path": name,
            "oid": git_sha(content),
            "size": len(content),
        }
        if name.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        listed.append(entry)
    return listed


def large_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """The same as `siblings` of a model's information word it."""
    large = entry["lfs"]
    return {"sha256": large["oid"], "size": large["size"], "pointerSize": large["pointerSize"]}
