"""The table of /api/v1: method, path, handler, permission, what goes in and out, one line of documentation.

Owns nothing else. A test proves that no line lacks a permission; `openapi.py` and the server are made from this same table.
"""

from __future__ import annotations

from penstock.apiv1 import access as r
from penstock.apiv1 import account as c
from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import fleet as f
from penstock.apiv1 import groups as g
from penstock.apiv1 import notices as n
from penstock.apiv1 import people as p
from penstock.apiv1.common import Outcome, Page
from penstock.server.api import access, account, accounts, apps, backups, devices, fleet, groups, localpeople, notices, openapi, people, queries, streams
from penstock.server.api.frame import PUBLIC, SIGNED_IN, Route

V = "/api/v1"

ROUTES: tuple[Route, ...] = (
    # the front door
    Route("GET", f"{V}/openapi.json", openapi.serve, PUBLIC, "This document.", dict),
    Route("GET", f"{V}/ca", people.authorities, PUBLIC, "The certificates to trust for this plane; compare the fingerprint.", p.Authorities),
    Route("GET", f"{V}/setup", people.setup_state, PUBLIC, "Whether the first administrator is still to be made.", p.SetupState),
    Route("POST", f"{V}/setup", people.set_up, PUBLIC, "Make the first administrator with the one-time set-up token.", p.TokenMade, p.SetupRequest, status=201, refuses=(409,)),
    Route("POST", f"{V}/login", people.log_in, PUBLIC, "A name and password, and a code where the person has a second factor, for an API token.", p.TokenMade, p.LoginRequest, status=201, refuses=(401,)),
    Route("GET", f"{V}/me", people.me, SIGNED_IN, "Who the token belongs to.", p.Me),
    Route("POST", f"{V}/me/password", people.change_password, SIGNED_IN, "Change one's own password.", Outcome, p.PasswordChange),
    Route("GET", f"{V}/me/sessions", account.list_sessions, SIGNED_IN, "One's own sessions: browsers that are signed in.", Page[c.Session]),
    Route("DELETE", f"{V}/me/sessions", account.end_other_sessions, SIGNED_IN, "End all of one's own sessions but the one that asks.", Outcome),
    Route("DELETE", f"{V}/me/sessions/{{session}}", account.end_session, SIGNED_IN, "End one of one's own sessions.", Outcome),
    Route("GET", f"{V}/me/second-factor", account.get_factor, SIGNED_IN, "One's own second factor.", c.SecondFactor),
    Route("POST", f"{V}/me/second-factor", account.begin_factor, SIGNED_IN, "A fresh secret for an authenticator app; a first code switches it on.", c.FactorSecret, c.PasswordOnly, status=201),
    Route("POST", f"{V}/me/second-factor/confirm", account.confirm_factor, SIGNED_IN, "Switch the second factor on with its first code; the recovery codes.", c.RecoveryCodes, c.CodeOnly),
    Route("POST", f"{V}/me/second-factor/recovery-codes", account.renew_codes, SIGNED_IN, "New recovery codes; the old ones are worthless.", c.RecoveryCodes, c.PasswordAndCode),
    Route("POST", f"{V}/me/second-factor/off", account.switch_off_factor, SIGNED_IN, "Switch the second factor off.", Outcome, c.PasswordAndCode),
    Route("POST", f"{V}/me/second-factor/cancel", account.cancel_factor, SIGNED_IN, "Give up setting a second factor up.", Outcome),
    Route("GET", f"{V}/users/{{user}}/sessions", account.list_sessions_of, "users.read", "Somebody's sessions, by id or name.", Page[c.Session]),
    Route("DELETE", f"{V}/users/{{user}}/sessions", account.end_sessions_of, "users.write", "End all of somebody's sessions.", Outcome),
    Route("DELETE", f"{V}/users/{{user}}/sessions/{{session}}", account.end_session_of, "users.write", "End one of somebody's sessions.", Outcome),
    Route("GET", f"{V}/users/{{user}}/second-factor", account.get_factor_of, "users.read", "Whether somebody has a second factor, by id or name.", c.SecondFactor),
    Route("POST", f"{V}/users/{{user}}/second-factor/reset", account.reset_factor, "users.write", "Take away somebody's lost second factor.", Outcome, d.Reason),
    Route("GET", f"{V}/break-glass", account.get_break_glass, "users.read", "How the sealed break-glass account stands.", c.BreakGlass),
    Route("POST", f"{V}/break-glass/acknowledge", account.acknowledge_break_glass, "users.write", "Take note that the break-glass account was used.", c.BreakGlass),
    Route("GET", f"{V}/tokens", people.list_tokens, "tokens.own", "One's own API tokens.", Page[p.Token], query=queries.Tokens),
    Route("POST", f"{V}/tokens", people.create_token, "tokens.own", "Make an API token.", p.TokenMade, p.TokenCreate, status=201, creates=True),
    Route("DELETE", f"{V}/tokens/{{token}}", people.revoke_token, "tokens.own", "Revoke an API token; it is dead at once.", Outcome),
    # people, service accounts, teams
    Route("GET", f"{V}/users", accounts.list_users, "users.read", "People and service accounts, with what each has where.", Page[r.User], query=queries.Users),
    Route("POST", f"{V}/users", accounts.create_user, "users.write", "Make a person, with an invitation, or a service account.", r.InvitationMade, r.UserCreate, status=201, creates=True),
    Route("GET", f"{V}/users/{{user}}", accounts.get_user, "users.read", "One person or service account, by id or name.", r.User),
    Route("PATCH", f"{V}/users/{{user}}", accounts.change_user, "users.write", "Change what people call somebody.", r.User, r.UserChange, conditional=True),
    Route("POST", f"{V}/users/{{user}}/invite", accounts.invite, "users.write", "A fresh invitation to set one's own password.", r.InvitationMade, d.Reason, status=201, creates=True),
    Route("POST", f"{V}/users/{{user}}/disable", accounts.disable, "users.write", "Shut somebody out; sessions end and tokens are dead at once.", Outcome, d.Reason),
    Route("POST", f"{V}/users/{{user}}/enable", accounts.enable, "users.write", "Let somebody in again.", Outcome, d.Reason),
    Route("POST", f"{V}/users/{{user}}/remove", accounts.remove_user, "users.write", "Remove somebody for good; past acts keep the name.", Outcome, d.Reason),
    Route("GET", f"{V}/users/{{user}}/tokens", people.list_user_tokens, "users.write", "A service account's API tokens.", Page[p.Token]),
    Route("POST", f"{V}/users/{{user}}/tokens", people.create_user_token, "users.write", "Make a service account an API token.", p.TokenMade, p.TokenCreate, status=201, creates=True),
    Route("DELETE", f"{V}/users/{{user}}/tokens/{{token}}", people.revoke_user_token, "users.write", "Revoke a service account's API token.", Outcome),
    Route("POST", f"{V}/invitation", accounts.accept_invitation, PUBLIC, "Set one's own password with the one-time code of an invitation.", Outcome, r.InvitationAccept),
    Route("GET", f"{V}/teams", accounts.list_teams, "users.read", "Teams and who is in them.", Page[r.Team], query=queries.Paging),
    Route("POST", f"{V}/teams", accounts.create_team, "users.write", "Make a team.", r.Team, r.TeamCreate, status=201, creates=True),
    Route("GET", f"{V}/teams/{{team}}", accounts.get_team, "users.read", "One team, by id or name.", r.Team),
    Route("PATCH", f"{V}/teams/{{team}}", accounts.change_team, "users.write", "Change a team's title or members.", r.Team, r.TeamChange, conditional=True),
    Route("POST", f"{V}/teams/{{team}}/remove", accounts.remove_team, "users.write", "Remove a team, and what its people had by it.", Outcome, d.Reason),
    # who may do what where
    Route("GET", f"{V}/roles", access.list_roles, "access.read", "Every role with its rights.", Page[r.Role]),
    Route("POST", f"{V}/roles", access.create_role, "access.write", "Make a role of one's own.", r.Role, r.RoleCreate, status=201, creates=True),
    Route("GET", f"{V}/roles/{{role}}", access.get_role, "access.read", "One role.", r.Role),
    Route("PATCH", f"{V}/roles/{{role}}", access.change_role, "access.write", "Change a role of one's own, for everybody who has it.", r.Role, r.RoleChange, conditional=True),
    Route("POST", f"{V}/roles/{{role}}/remove", access.remove_role, "access.write", "Remove a role that nobody has.", Outcome, d.Reason),
    Route("GET", f"{V}/bindings", access.list_bindings, "access.read", "Who has which role where.", Page[r.Grant], query=queries.Bindings),
    Route("POST", f"{V}/bindings", access.give, "access.write", "Give somebody a role on a part of the fleet.", r.Grant, r.BindingCreate, status=201, creates=True),
    Route("POST", f"{V}/bindings/{{binding}}/take", access.take, "access.write", "Take a role away.", Outcome, d.Reason),
    Route("GET", f"{V}/access/parts", access.offered, "access.write", "The parts of the fleet on which one may give roles.", Page[r.Part]),
    Route("GET", f"{V}/access/explain", access.explained, SIGNED_IN, "Whether somebody may do something here, and why.", r.Explanation, query=queries.Explain),
    Route("GET", f"{V}/access/effective", access.effective, SIGNED_IN, "Everything somebody may, by part of the fleet.", r.Effective, query=queries.Effective),
    Route("GET", f"{V}/access/who-can", access.who_can, "access.read", "Everybody who may do a thing here.", Page[r.Able], query=queries.WhoCan),
    # places
    Route("GET", f"{V}/sites", people.list_sites, "sites.read", "Every site.", Page[p.Site], query=queries.Sites),
    Route("POST", f"{V}/sites", people.create_site, "sites.write", "Name a site.", p.Site, p.SiteCreate, status=201, creates=True),
    Route("GET", f"{V}/sites/{{site}}", people.get_site, "sites.read", "One site, by id or name.", p.Site),
    # groups
    Route("GET", f"{V}/groups", groups.list_groups, "groups.read", "Every group.", Page[g.Group], query=queries.Groups),
    Route("POST", f"{V}/groups", groups.create_group, "groups.write", "Make a group of devices.", g.Group, g.GroupCreate, status=201, creates=True),
    Route("GET", f"{V}/groups/{{group}}", groups.get_group, "groups.read", "One group, by id or name.", g.Group),
    Route("GET", f"{V}/groups/{{group}}/members", groups.members, "groups.read", "The devices of a group, and why each is in.", Page[g.GroupMember], query=queries.Paging),
    Route("PATCH", f"{V}/groups/{{group}}", groups.change_group, "groups.write", "Change a group's title, selector or list of devices.", g.Group, g.GroupChange, conditional=True),
    Route("DELETE", f"{V}/groups/{{group}}", groups.remove_group, "groups.write", "Remove a group that nothing needs any more.", Outcome, conditional=True),
    Route("GET", f"{V}/sites/{{site}}/people", localpeople.list_people, "sites.read", "Who may act at the site's devices with a PIN.", Page[p.LocalPerson]),
    Route("POST", f"{V}/sites/{{site}}/people", localpeople.add_person, "sites.people", "Add a local person.", p.LocalPerson, p.LocalPersonCreate, status=201, creates=True),
    Route("PATCH", f"{V}/sites/{{site}}/people/{{person}}", localpeople.change_person, "sites.people", "Change a local person's name or rights.", p.LocalPerson, p.LocalPersonChange, conditional=True),
    Route("POST", f"{V}/sites/{{site}}/people/{{person}}/pin", localpeople.set_pin, "sites.people", "Set a local person's PIN.", Outcome, p.PinChange),
    Route("DELETE", f"{V}/sites/{{site}}/people/{{person}}", localpeople.remove_person, "sites.people", "Remove a local person.", Outcome),
    Route("PATCH", f"{V}/sites/{{site}}", people.change_site, "sites.write", "Change a site's title, time zone or place on the map.", p.Site, p.SiteChange, conditional=True),
    Route("GET", f"{V}/sites/{{site}}/history", fleet.site_history, "events.read", "What was done at a site, newest first.", Page[p.HistoryItem], query=queries.Paging),
    # looking at the fleet
    Route("GET", f"{V}/views", fleet.list_views, "devices.read", "One's own saved views of the fleet.", Page[f.SavedView]),
    Route("POST", f"{V}/views", fleet.save_view, "devices.read", "Give some filters of the fleet a name.", f.SavedView, f.SavedViewCreate, status=201, creates=True),
    Route("DELETE", f"{V}/views/{{view}}", fleet.drop_view, "devices.read", "Forget a saved view.", Outcome),
    Route("GET", f"{V}/compare/devices", fleet.compare_devices, "devices.read", "Two devices, side by side.", f.Comparison, query=queries.Compare),
    Route("GET", f"{V}/compare/sites", fleet.compare_sites, "sites.read", "Two sites, side by side.", f.Comparison, query=queries.Compare),
    # joining
    Route("GET", f"{V}/join-tokens", devices.list_joins, "joins.read", "Join tokens, without their secrets.", Page[d.JoinToken], query=queries.Joins),
    Route("POST", f"{V}/sites/{{site}}/join-tokens", devices.create_join, "joins.write", "Make a join line for a site.", d.JoinTokenMade, d.JoinTokenCreate, status=201, creates=True),
    Route("DELETE", f"{V}/join-tokens/{{join}}", devices.revoke_join, "joins.write", "Revoke a join token.", Outcome),
    Route("GET", f"{V}/enrolments", devices.list_enrolments, "enrolments.read", "The waiting room.", Page[d.Enrolment], query=queries.Enrolments),
    Route("GET", f"{V}/enrolments/{{enrolment}}", devices.get_enrolment, "enrolments.read", "One request for admission.", d.Enrolment),
    Route("POST", f"{V}/enrolments/{{enrolment}}/approve", devices.approve, "enrolments.decide", "Let a device in.", Outcome, d.Approve, creates=True),
    Route("POST", f"{V}/enrolments/{{enrolment}}/reject", devices.reject, "enrolments.decide", "Turn a device away.", Outcome, d.Reason),
    # devices
    Route("GET", f"{V}/overview", devices.overview, "devices.read", "The fleet in numbers, and what needs a person.", d.Overview),
    Route("GET", f"{V}/devices", devices.list_devices, "devices.read", "Devices, worst first.", Page[d.DeviceSummary], query=queries.Devices),
    Route("GET", f"{V}/devices/{{device}}", devices.get_device, "devices.read", "One device, by id or name.", d.Device),
    Route("PATCH", f"{V}/devices/{{device}}", devices.change_device, "devices.write", "Change a device's labels or name.", d.Device, d.DeviceChange, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/retire", devices.retire, "devices.retire", "Take a device out of the fleet for good, wiped first where that is asked for.", Outcome, d.Retire, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/keep", devices.keep, "devices.retire", "Take an order to retire back that the device has not heard.", Outcome, d.Reason),
    Route("POST", f"{V}/devices/{{device}}/move", devices.move, "devices.write", "Say that a device stands at another site now.", d.Device, d.Move, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/release-quarantine", devices.release_quarantine, "devices.quarantine", "Let a quarantined device change things again.", Outcome, d.Reason, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/accept-review", devices.accept_review, "devices.quarantine", "Say that what an unknown-content device runs has been looked at.", Outcome, d.Reason, conditional=True),
    Route("GET", f"{V}/devices/{{device}}/timeline", devices.timeline, "devices.read", "What happened on a device, newest first.", Page[d.TimelineItem], query=queries.Timeline),
    Route("GET", f"{V}/devices/{{device}}/commands", devices.list_commands, "devices.read", "Commands given to a device.", Page[d.Command], query=queries.Paging),
    Route("POST", f"{V}/devices/{{device}}/commands", devices.order, "devices.command", "Ask something of a device.", d.Command, d.CommandCreate, status=201, creates=True),
    Route("GET", f"{V}/commands/{{command}}", devices.get_command, "devices.read", "One command and its outcome.", d.Command),
    # faults, and who is told
    Route("GET", f"{V}/faults", notices.list_faults, "devices.read", "What is wrong, worst first.", Page[n.FleetFault], query=queries.Faults),
    Route("POST", f"{V}/faults/{{fault}}/acknowledge", notices.acknowledge, "faults.acknowledge", "Say that a fault is known, until when and why.", Outcome, n.Acknowledge),
    Route("POST", f"{V}/faults/{{fault}}/unacknowledge", notices.unacknowledge, "faults.acknowledge", "Let an acknowledged fault be news again.", Outcome),
    Route("GET", f"{V}/notices", notices.list_notices, "notices.read", "Who is told of faults and acts.", Page[n.Notice]),
    Route("POST", f"{V}/notices", notices.create_notice, "notices.write", "Tell somebody by webhook or mail.", n.NoticeMade, n.NoticeCreate, status=201, creates=True),
    Route("GET", f"{V}/notices/{{notice}}", notices.get_notice, "notices.read", "One notice, by id or name.", n.Notice),
    Route("PATCH", f"{V}/notices/{{notice}}", notices.change_notice, "notices.write", "Change a notice's rules or address, or turn it off.", n.Notice, n.NoticeChange, conditional=True),
    Route("DELETE", f"{V}/notices/{{notice}}", notices.remove_notice, "notices.write", "Remove a notice.", Outcome, conditional=True),
    Route("POST", f"{V}/notices/{{notice}}/test", notices.try_notice, "notices.write", "Send a test at once.", n.NoticeTested, refuses=(503,)),
    # apps and releases
    Route("GET", f"{V}/apps", apps.list_apps, "apps.read", "The catalogue.", Page[a.App], query=queries.Apps),
    Route("GET", f"{V}/apps/{{app}}", apps.get_app, "apps.read", "One app and its releases.", a.App),
    Route("GET", f"{V}/releases", apps.list_releases, "apps.read", "Releases, newest first.", Page[a.ReleaseBrief], query=queries.Releases),
    Route("GET", f"{V}/releases/{{release}}", apps.get_release, "apps.read", "One release, by id or app:version.", a.Release),
    Route("POST", f"{V}/releases/check", apps.check, "releases.publish", "What a Compose file would become; nothing is stored.", a.ReleaseCheck, a.Check),
    Route("POST", f"{V}/releases", apps.publish, "releases.publish", "Publish a Compose file as a release.", a.Release, a.Publish, status=201, creates=True),
    # deployments
    Route("POST", f"{V}/deployments/preview", apps.preview, "deployments.read", "What a deployment would change where.", a.Preview, a.PreviewRequest),
    Route("GET", f"{V}/deployments", apps.list_deployments, "deployments.read", "Deployments and how far they are.", Page[a.Deployment], query=queries.Deployments),
    Route("POST", f"{V}/deployments", apps.create_deployment, "deployments.write", "Deploy a release.", a.Deployment, a.DeploymentCreate, status=201, creates=True),
    Route("GET", f"{V}/deployments/{{deployment}}", apps.get_deployment, "deployments.read", "One deployment.", a.Deployment),
    Route("PATCH", f"{V}/deployments/{{deployment}}", apps.change_deployment, "deployments.write", "Change a deployment's release, target or values.", a.Deployment, a.DeploymentChange, conditional=True),
    Route("POST", f"{V}/deployments/{{deployment}}/stand-again", apps.stand_again, "deployments.write", "Take a withdrawal back: the plan it had stands again.", Outcome, d.Reason, conditional=True),
    Route("POST", f"{V}/deployments/{{deployment}}/withdraw", apps.withdraw, "deployments.write", "Remove the app from every device of the deployment; volumes stay.", Outcome, d.Reason, conditional=True),
    Route("POST", f"{V}/deployments/{{deployment}}/retry", apps.retry, "deployments.write", "Try again where it failed.", Outcome, a.Retry),
    Route("GET", f"{V}/deployments/{{deployment}}/rollouts", apps.list_rollouts, "deployments.read", "The rollouts of a deployment.", Page[a.Rollout], query=queries.Rollouts),
    Route("GET", f"{V}/rollouts/{{rollout}}", apps.get_rollout, "deployments.read", "One rollout.", a.Rollout),
    Route("GET", f"{V}/rollouts/{{rollout}}/members", apps.members, "deployments.read", "The devices of a rollout.", Page[a.Member], query=queries.Members),
    Route("POST", f"{V}/rollouts/{{rollout}}/stop", apps.stop_rollout, "deployments.write", "Give nobody leave any more.", Outcome, d.Reason),
    # the plane
    Route("GET", f"{V}/events", streams.acts, "events.read", "Every act on the plane as server-sent events; resumes after Last-Event-ID.", bytes, query=queries.Events, media_type="text/event-stream", stream=True),
    Route("GET", f"{V}/changes", streams.changed, SIGNED_IN, "That something changed under the topics named, as server-sent events.", bytes, query=queries.Changes, media_type="text/event-stream", stream=True),
    Route("GET", f"{V}/history", people.history, "events.read", "Acts on the plane, newest first.", Page[p.HistoryItem], query=queries.History),
    Route("POST", f"{V}/backup", backups.make, "system.backup", "A backup, sealed for the holder of a backup key; one at a time.", bytes, p.BackupOrder, media_type="application/octet-stream", stream=True),
    Route("GET", f"{V}/about", people.about, "settings.read", "What this plane is.", p.About),
    Route("GET", f"{V}/settings", people.get_settings, "settings.read", "The plane's settings.", p.Settings),
    Route("PATCH", f"{V}/settings", people.change_settings, "settings.write", "Change the plane's settings; they reach devices through signed state.", p.Settings, p.SettingsChange, conditional=True),
)  # fmt: skip
