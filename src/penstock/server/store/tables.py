"""The tables, their columns and what is indexed: SQLAlchemy Core metadata, the same for SQLite and PostgreSQL.

Owns the schema that the migrations build (a test compares the two). Functions over the tables stand in the file of their noun.
Times are unix milliseconds in 64-bit integers; JSON is text that only this room reads.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from penstock.server.store.columns import RecordText, SaidOfApp, metadata
from penstock.server.store.columns import flag as _flag
from penstock.server.store.columns import ident as _id
from penstock.server.store.columns import moment as _ms
from penstock.server.store.columns import number as _number
from penstock.server.store.columns import plain as _json
from penstock.server.store.columns import text as _text
from penstock.wire.log import Receipt
from penstock.wire.messages import Facts

# --- people -----------------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    _id(primary_key=True),
    _text("name", unique=True),
    _text("password"),
    _ms("created_ms"),
    _text("kind"),
    _text("title"),
    _flag("disabled"),
    _number("revision"),
    _ms("removed_ms"),
)
invitations = Table(
    "invitations",
    metadata,
    Column("user", String(64), ForeignKey("users.id"), primary_key=True),
    _text("hash", unique=True),
    _flag("first"),
    _ms("created_ms"),
    _ms("expires_ms"),
    _text("made_by"),
)
sessions = Table(
    "sessions",
    metadata,
    _id(primary_key=True),
    Column("user", String(64), ForeignKey("users.id"), nullable=False, index=True),
    _text("hash", unique=True),
    _text("csrf"),
    _ms("created_ms"),
    _ms("seen_ms"),
    _ms("expires_ms"),
    _text("address"),
    _text("agent"),
)
second_factors = Table(
    "second_factors",
    metadata,
    Column("user", String(64), ForeignKey("users.id"), primary_key=True, nullable=False),
    _text("secret"),
    _ms("created_ms"),
    _ms("confirmed_ms"),
    _number("used"),
    _json("codes"),
)
known_addresses = Table(
    "known_addresses",
    metadata,
    Column("user", String(64), ForeignKey("users.id"), primary_key=True, nullable=False),
    Column("address", Text, primary_key=True, nullable=False),
    _ms("seen_ms"),
)
api_tokens = Table(
    "api_tokens",
    metadata,
    _id(primary_key=True),
    Column("user", String(64), ForeignKey("users.id"), nullable=False, index=True),
    _text("name"),
    _text("hash", unique=True),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("used_ms"),
    _ms("revoked_ms"),
    _json("only"),
)
teams = Table("teams", metadata, _id(primary_key=True), _text("name", unique=True), _text("title"), _ms("created_ms"), _number("revision"))
team_members = Table(
    "team_members",
    metadata,
    Column("team", String(64), ForeignKey("teams.id"), primary_key=True),
    Column("user", String(64), ForeignKey("users.id"), primary_key=True, index=True),
)
roles = Table("roles", metadata, Column("name", String(64), primary_key=True), _text("title"), _json("verbs"), _number("revision"))
bindings = Table(
    "bindings",
    metadata,
    _id(primary_key=True),
    Column("subject", String(64), nullable=False, index=True),
    _text("role"),
    _text("part_kind"),
    _text("part"),
    _text("given_by"),
    _text("reason"),
    _ms("created_ms"),
    UniqueConstraint("subject", "role", "part_kind", "part"),
)
groups = Table(
    "groups",
    metadata,
    _id(primary_key=True),
    _text("name", unique=True),
    _text("title"),
    _text("selector"),
    _json("devices"),
    _ms("created_ms"),
    _number("revision"),
)
# Who is in a group now, worked out whenever a group or a device's labels change, so that a query can ask.
group_members = Table(
    "group_members",
    metadata,
    Column("group", String(64), ForeignKey("groups.id"), primary_key=True),
    Column("device", String(64), primary_key=True, index=True),
)
saved_views = Table(
    "saved_views",
    metadata,
    _id(primary_key=True),
    Column("user", String(64), ForeignKey("users.id"), nullable=False),
    _text("name"),
    _text("query"),
    _ms("created_ms"),
    UniqueConstraint("user", "name"),
)
settings = Table("settings", metadata, Column("key", String(64), primary_key=True), _text("value"), _number("revision"))

# --- places and devices -----------------------------------------------------------------------------------------------

sites = Table(
    "sites",
    metadata,
    _id(primary_key=True),
    _text("name", unique=True),
    _text("title"),
    _text("time_zone"),
    _ms("created_ms"),
    _number("revision"),
    Column("latitude", Float),
    Column("longitude", Float),
)
join_tokens = Table(
    "join_tokens",
    metadata,
    _id(primary_key=True),
    Column("site", String(64), ForeignKey("sites.id"), nullable=False, index=True),
    _text("title"),
    _text("hash", unique=True),
    _number("uses"),
    _number("used"),
    _ms("expires_ms"),
    _flag("auto_approve"),
    _json("labels"),
    _ms("created_ms"),
    _text("created_by"),
    _ms("revoked_ms"),
    _flag("gives_rights"),
)
enrolments = Table(
    "enrolments",
    metadata,
    _id(primary_key=True),
    _text("keyid", unique=True),
    _text("fingerprint"),
    _text("name"),
    Column("site", String(64), ForeignKey("sites.id"), nullable=False),
    Column("token", String(64), ForeignKey("join_tokens.id"), nullable=False),
    _text("sign_key"),
    _text("seal_key"),
    Column("facts", RecordText(Facts), nullable=False),
    _text("status"),
    _text("why"),
    _ms("asked_ms"),
    _text("replaces"),
    _json("labels"),
    _ms("decided_ms"),
    _text("decided_by"),
    _text("device"),
    _text("admission"),
    _number("revision"),
    Index(None, "status", "asked_ms"),
)
devices = Table(
    "devices",
    metadata,
    _id(primary_key=True),
    _text("name"),
    Column("site", String(64), ForeignKey("sites.id"), nullable=False, index=True),
    _json("labels"),
    _text("state"),
    _text("why"),
    _text("keyid", unique=True),
    _text("fingerprint"),
    _text("sign_key"),
    _text("seal_key"),
    _number("key_epoch"),
    Column("facts", RecordText(Facts), nullable=False),
    _ms("enrolled_ms"),
    _text("review"),
    _flag("accept_fork"),
    _text("admission"),
    _flag("moved"),
    _number("revision"),
    Index(None, "name"),
)
local_people = Table(
    "local_people",
    metadata,
    _id(primary_key=True),
    Column("site", String(64), ForeignKey("sites.id"), nullable=False, index=True),
    _text("name"),
    _json("may"),
    _ms("created_ms"),
    _text("salt"),
    _number("rounds"),
    _text("verifier"),
    _ms("pin_ms"),
    _number("revision"),
)
retirements = Table(
    "retirements",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    _text("wipe"),
    _text("command"),
    _text("by"),
    _text("reason"),
    _ms("ordered_ms"),
    _ms("heard_ms"),
    _ms("wiped_ms"),
    _ms("destroyed_ms"),
    _ms("ended_ms"),
    _text("outcome"),
    _text("said"),
    Index(None, "outcome"),
)
device_status = Table(
    "device_status",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    _number("severity"),
    _text("phase"),
    _text("why"),
    _number("drift"),
    _text("way_back"),
    _number("pinned"),
    _number("apps"),
    _number("epoch"),
    _number("generation"),
    _json("alarms"),
    _json("strangers"),
    _number("disk_free_bytes"),
    _flag("engine_ok"),
    _ms("reported_ms"),
    _ms("seen_ms"),
    _text("liveness"),
    _number("lost"),
    _number("ill"),
    Index(None, "severity"),
)

# --- what devices say -------------------------------------------------------------------------------------------------

log_heads = Table(
    "log_heads",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    _number("branch"),
    _number("seq"),
    _text("head"),
    _number("boot"),
)
log_entries = Table(
    "log_entries",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("branch", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    _number("boot"),
    _ms("at_ms"),
    _text("clock"),
    _text("kind"),
    _text("body"),
    _text("digest"),
    _ms("received_ms"),
    sqlite_with_rowid=False,
)
observations = Table(
    "observations",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("app", String(64), primary_key=True),
    _text("deployment"),
    _text("phase"),
    _text("content"),
    _text("target"),
    _text("version"),
    _ms("at_ms"),
    _number("seq"),
    _flag("pinned"),
    _flag("removed"),
    _text("why"),
    _number("drift"),
    _text("way_back"),
    Column("observed", SaidOfApp, nullable=False),
    _number("ill"),
)
receipts = Table(
    "receipts",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("branch", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    _ms("at_ms"),
    Column("receipt", RecordText(Receipt), nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("app", String(64), primary_key=True),
    _text("content"),
    _text("verdict"),
    _text("why"),
    _text("authorisation"),
    _ms("received_ms"),
)

# --- what shall run ---------------------------------------------------------------------------------------------------

apps = Table("apps", metadata, Column("name", String(64), primary_key=True), _text("title"), _ms("created_ms"))
releases = Table(
    "releases",
    metadata,
    _id(primary_key=True),
    Column("app", String(64), ForeignKey("apps.name"), nullable=False),
    Column("version", String(64), nullable=False),
    _text("digest"),
    _text("document"),
    _text("source"),
    _ms("published_ms"),
    _text("published_by"),
    _text("note"),
    UniqueConstraint("app", "version"),
    Index(None, "published_ms", "id"),
)
deployments = Table(
    "deployments",
    metadata,
    _id(primary_key=True),
    _text("name", unique=True),
    Column("app", String(64), ForeignKey("apps.name"), nullable=False, index=True),
    _text("state"),
    _number("plan"),
    _ms("created_ms"),
    _text("conflict"),
    _number("revision"),
)
plans = Table(
    "plans",
    metadata,
    Column("deployment", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("release", String(64), ForeignKey("releases.id"), nullable=False),
    _json("devices"),
    _text("selector"),
    _text("group"),
    _json("values"),
    _json("secrets"),
    _text("drift"),
    _number("soak_s"),
    _number("deadline_s"),
    _ms("made_ms"),
    _text("made_by"),
    _text("reason"),
)
secrets = Table(
    "secrets",
    metadata,
    Column("deployment", String(64), ForeignKey("deployments.id"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    _text("vaulted"),
)
sealed_secrets = Table(
    "sealed_secrets",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("deployment", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    _number("key_epoch"),
    _text("sealed"),
)
rollouts = Table(
    "rollouts",
    metadata,
    _id(primary_key=True),
    Column("deployment", String(64), ForeignKey("deployments.id"), nullable=False, index=True),
    _text("app"),
    _number("plan"),
    _text("state"),
    _text("why"),
    _number("waves"),
    _number("wave"),
    _ms("started_ms"),
    _ms("ended_ms"),
    Index(None, "state"),
)
members = Table(
    "members",
    metadata,
    Column("rollout", String(64), ForeignKey("rollouts.id"), primary_key=True),
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    _text("app"),
    _number("wave"),
    _text("content"),
    _text("state"),
    _text("why"),
    _ms("changed_ms"),
    Column("values_at", BigInteger, nullable=False, server_default="0"),
    Index(None, "device"),
    Index(None, "rollout", "state"),
)
assignments = Table(
    "assignments",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    Column("app", String(64), primary_key=True),
    Column("deployment", String(64), ForeignKey("deployments.id"), nullable=False, index=True),
    _number("plan"),
    Column("rollout", String(64), ForeignKey("rollouts.id"), nullable=False),
    _text("content"),
    Column("values_at", BigInteger, nullable=False, server_default="0"),
)
contents = Table(
    "contents",
    metadata,
    Column("content", String(80), primary_key=True),
    _text("app"),
    _text("deployment"),
    _number("plan"),
    _text("version"),
    _ms("made_ms"),
)
states = Table(
    "states",
    metadata,
    Column("device", String(64), ForeignKey("devices.id"), primary_key=True),
    _number("epoch"),
    _number("generation"),
    _text("content"),
    Column("envelope", LargeBinary, nullable=False),
    _text("etag"),
    _ms("changed_ms"),
    _flag("pending"),
)
leaves = Table(
    "leaves",
    metadata,
    _id(primary_key=True),
    Column("device", String(64), ForeignKey("devices.id"), nullable=False, index=True),
    _text("app"),
    _text("content"),
    Column("rollout", String(64), ForeignKey("rollouts.id"), nullable=False, index=True),
    _number("wave"),
    _ms("issued_ms"),
    _ms("not_after_ms"),
    Column("envelope", LargeBinary, nullable=False),
)
commands = Table(
    "commands",
    metadata,
    _id(primary_key=True),
    Column("device", String(64), ForeignKey("devices.id"), nullable=False),
    _text("verb"),
    _json("arguments"),
    _ms("issued_ms"),
    _ms("not_after_ms"),
    _text("by"),
    Column("envelope", LargeBinary, nullable=False),
    _text("outcome"),
    _text("why"),
    _text("output"),
    _ms("ended_ms"),
    Index(None, "device", "issued_ms"),
    Index(None, "outcome", "not_after_ms"),
)

# --- the plane's own ----------------------------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _ms("at_ms"),
    _text("actor_kind"),
    _text("actor_id"),
    _text("actor_name"),
    _text("site"),
    _text("verb"),
    _text("subject"),
    _text("outcome"),
    _text("reason"),
    _json("data"),
    _text("device"),
    _text("app"),
    Index(None, "subject", "number"),
    sqlite_autoincrement=True,
)
fault_marks = Table("fault_marks", metadata, Column("key", String(300), primary_key=True), _ms("since_ms"))
fault_known = Table(
    "fault_known",
    metadata,
    Column("key", String(300), primary_key=True),
    _text("severity"),
    _ms("until_ms"),
    _text("reason"),
    _text("by"),
    _ms("at_ms"),
)
notice_targets = Table(
    "notice_targets",
    metadata,
    _id(primary_key=True),
    _text("name", unique=True),
    _text("site"),
    _text("kind"),
    _flag("enabled"),
    _json("rules"),
    _json("way"),
    _text("vaulted"),
    _ms("created_ms"),
    _text("created_by"),
    _number("revision"),
)
notice_books = Table(
    "notice_books",
    metadata,
    Column("target", String(64), ForeignKey("notice_targets.id"), primary_key=True),
    _json("told"),
    _json("sent"),
    _number("event"),
    _ms("last_ms"),
    _text("last_outcome"),
    _text("last_why"),
    _ms("failing_ms"),
)
notices = Table(
    "notices",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("target", String(64), ForeignKey("notice_targets.id"), nullable=False),
    _text("kind"),
    _text("body"),
    _ms("made_ms"),
    _ms("due_ms"),
    _number("attempts"),
    _text("why"),
    Index(None, "target", "number"),
    sqlite_autoincrement=True,
)
outbox = Table(
    "outbox",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("key", String(128), primary_key=True),
    _ms("due_ms"),
    _number("attempts"),
    _text("why"),
)
roots = Table("roots", metadata, Column("version", Integer, primary_key=True), _number("epoch"), _text("envelope"), _ms("added_ms"))
