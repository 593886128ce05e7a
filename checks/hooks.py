"""What a tester cannot make up, and what a refusal of well-formed data may say.

Ids and ETags: made-up ones name nothing, so every second request names a record, a unit or a campaign that is there, and
every second change the version it has. Nothing that was drawn to be wrong is touched.
"""

import os
import random

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

URL, TOKEN = os.environ["FIRE_URL"], os.environ["FIRE_TOKEN"]
NOBODY = "01900000-0000-7000-8000-00000000dead"
UNITS = {"unit", "within", "giver_unit", "receiving_unit", "mobiliser_unit", "nominator_unit", "recognised_by"}


class Known:
    """What the service knows, as the caller sees it."""

    def __init__(self):
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"
        self.dice = random.Random(1)
        self.rooms = {}
        account = self.get("/v1/me").json()["account"]
        grants = self.get(f"/v1/grants?account={account}&limit=200").json().get("items", [])
        # Whoever ends its own grant or revokes its own tokens is refused from then on, and tests nothing more.
        self.own = {account, *(grant["id"] for grant in grants)}

    def get(self, path):
        return self.session.get(f"{URL}{path}", timeout=30)

    def some(self, room):
        """The id of a record of the room, if the caller sees one; looked up again now and then, as records are made."""
        asked, ids = self.rooms.get(room, (0, []))
        if asked % 50 == 0:
            answer = self.get(f"/v1/{room}?limit=200")
            ids = [item["id"] for item in answer.json().get("items", []) if "id" in item] if answer.ok else []
        self.rooms[room] = (asked + 1, ids)
        ids = [one for one in ids if one not in self.own]
        return self.dice.choice(ids) if ids else None


known = Known()


def is_wrong_on_purpose(case, location):
    component = case.meta.components.get(location) if case.meta else None
    return component is not None and component.mode.is_negative


def with_known(value, name=None):
    """The body or the query with units and campaigns that are there."""
    if isinstance(value, dict):
        return {key: with_known(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_known(inner, name) for inner in value]
    room = "units" if name in UNITS else "campaigns" if name == "campaign" else None
    if room and isinstance(value, str) and known.dice.random() < 0.5:
        return known.some(room) or value
    return value


def without_own(value):
    if isinstance(value, dict):
        return {key: without_own(inner) for key, inner in value.items()}
    return NOBODY if isinstance(value, str) and value in known.own else value


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict) and not is_wrong_on_purpose(case, ParameterLocation.BODY):
        case.body = without_own(with_known(case.body))
    if case.query and not is_wrong_on_purpose(case, ParameterLocation.QUERY):
        case.query = with_known(dict(case.query))
    if not case.path_parameters or is_wrong_on_purpose(case, ParameterLocation.PATH):
        return
    room = case.path.split("/")[2]
    if "id" in case.path_parameters and known.dice.random() < 0.5:
        found = known.some(room)
        if found:
            case.path_parameters = {**case.path_parameters, "id": found}
    case.path_parameters = without_own(dict(case.path_parameters))
    tag = "If-Match" in (case.headers or {}) and not is_wrong_on_purpose(case, ParameterLocation.HEADER)
    if tag and known.dice.random() < 0.5:
        found = known.get(f"/v1/{room}/{case.path_parameters['id']}")
        if "ETag" in found.headers:
            case.headers["If-Match"] = found.headers["ETag"]


# Rules over several parameters or over what a campaign has, which a schema of each cannot say.
BETWEEN_PARAMETERS = {
    ("query/field", "chỉ dùng cùng `record`, `type` hoặc `campaign`"),
    ("query/round", "cần kèm phong trào"),
    ("query/campaign", "không có phong trào này"),
    ("query/round", "phong trào không có đợt này"),
    ("query/statement", "bộ quy tắc không có câu hỏi này"),
    ("query", "cần đúng một trong hai: code hoặc name"),
    ("query/from", "lớn hơn `to`"),
    ("query/from", "muộn hơn `to`"),
    ("query/to", "lớn hơn mốc đã ký mới nhất"),
    ("query/after", "không nằm trong bản trích xuất"),
    *((f"query/{name}", "nhật ký chưa tới vị trí này") for name in ("as_of", "from", "to")),
}
# Rules that a schema can say of one value: where the service applies one, the contract has to say it.
OF_ONE_VALUE = ("không hợp lệ: ", "chứa ký tự ", "số quá lớn", "cần từ 1 đến 200 ký tự, không", "ngày phải có dạng")


@schemathesis.check
def refused_for_what_no_schema_says(ctx, response, case):
    """Well-formed data are refused only for what depends on other values or records."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in (400, 422):
        return
    problem = response.json()
    faults = [(fault["pointer"], fault["detail"]) for fault in problem["errors"]]
    # A cursor is signed by the service: a made-up one is refused. The others speak of records.
    if problem["code"] in ("invalid_cursor", "ambiguous_unit", "idempotency_key_reused"):
        return
    if problem["code"] == "invalid_query" and faults and BETWEEN_PARAMETERS.issuperset(faults):
        return
    if problem["code"] == "invalid_value" and not any(detail.startswith(OF_ONE_VALUE) for _, detail in faults):
        return
    raise AssertionError(f"the contract allows what the service refuses: {problem['code']} {faults}")
