"""Pages of people and access: who there is, what each may where and why, teams, roles, and the invitation somebody follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from penstock.apiv1 import access as r
from penstock.apiv1 import devices as d
from penstock.apiv1 import people as p
from penstock.server.actions import bindings, invitations, sessions
from penstock.server.api import access, accounts, people, queries
from penstock.server.core.errors import Invalid, Refused
from penstock.server.core.model import SERVICE
from penstock.server.core.rights import VERBS
from penstock.server.core.rightwords import WORDS
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, faults_of, read, refusal, told
from penstock.server.web.people import safe_next
from penstock.server.web.personsignin import standing

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

DAY = 86_400
ASKED_FIRST = "deployments.write"  # what "who may do this here" asks where nothing is chosen
BY_WORDS = tuple(sorted(((verb, WORDS[verb]) for verb in VERBS), key=lambda one: one[1]))


def _after(problem: Problem | None) -> int:
    return 422 if problem is not None else 200


def _reason(ask: Ask) -> d.Reason:
    return read(d.Reason, {"reason": ask.first("reason")})  # type: ignore[no-any-return]


# --- people -------------------------------------------------------------------------------------------------------------


def _people(ask: Ask, problem: Problem | None = None, made: r.InvitationMade | None = None, form: dict[str, str] | None = None) -> Show:
    text, cursor = ask.query.get("q", "")[:100], ask.query.get("cursor", "")
    found = ask.ask(accounts.list_users, query=read(queries.Users, {"kind": "person", "text": text, "cursor": cursor, "limit": 100}))
    services = ask.ask(accounts.list_users, query=read(queries.Users, {"kind": "service", "text": text, "limit": 200}))
    teams = ask.ask(accounts.list_teams, query=read(queries.Paging, {"limit": 200}))
    return Show(
        "people.html",
        {
            "people": found.items,
            "services": services.items,
            "teams": teams.items,
            "q": text,
            "next_url": f"/people?{urlencode({'q': text, 'cursor': found.next})}" if found.next else "",
            "first_url": "/people" if cursor else "",
            "made": made,
            "problem": problem,
            "faults": faults_of(problem),
            "form": {"name": "", "title": "", "team": "", "team_title": ""} | (form or {}),
        },
        _after(problem),
    )


def people_page(ask: Ask) -> Show:
    """Everybody, and what each has where."""
    return _people(ask)


def create_person(ask: Ask) -> Show | Go:
    """Somebody new, with an invitation shown this once; or a service account."""
    form = {"name": ask.first("name"), "title": ask.first("title")}
    try:
        made = ask.ask(accounts.create_user, body=read(r.UserCreate, {**form, "kind": ask.first("kind", "person")}))
    except PAGE_FAULTS as fault:
        return _people(ask, told(fault), form=form)
    if not made.code:
        return Go(f"/people/{quote(made.user)}", f"{made.user} is a service account now. Give it a role, then a token.")
    return _person(ask, user=made.user, invitation=made)


def _person(
    ask: Ask,
    problem: Problem | None = None,
    *,
    user: str = "",
    invitation: r.InvitationMade | None = None,
    token: p.TokenMade | None = None,
    form: dict[str, str] | None = None,
) -> Show:
    found: r.User = ask.ask(accounts.get_user, user=user or ask.path["user"])
    verb, what = ask.query.get("verb", ""), ask.query.get("what", "").strip()
    said, wrong = None, None
    if verb and what:
        try:
            said = ask.ask(access.explained, query=read(queries.Explain, {"who": found.name, "verb": verb, "what": what}))
        except PAGE_FAULTS as fault:
            wrong = told(fault)
    mine = found.id == ask.actor.id
    may_tokens = found.kind == SERVICE and ask.may("users.write")
    return Show(
        "person.html",
        {
            "person": found,
            "mine": mine,
            "effective": _by_role(ask.ask(access.effective, query=queries.Effective(who=found.name)).parts) if mine or ask.may("access.read") else (),
            "tokens": ask.ask(people.list_user_tokens, user=found.name).items if may_tokens else (),
            "may_tokens": may_tokens,
            "token": token,
            "invitation": invitation,
            "said": said,
            "asked": {"verb": verb or ASKED_FIRST, "what": what},
            "verbs": BY_WORDS,
            "problem": problem or wrong,
            "faults": faults_of(problem or wrong),
            **standing(ask, found),
            **_giving(ask, form),
        },
        _after(problem),
    )


def _by_role(parts: tuple[r.EffectivePart, ...]) -> list[tuple[r.EffectivePart, list[tuple[str, str, list[str]]]]]:
    """Rights on each part, those of one role together."""
    found = []
    for part in parts:
        by: dict[tuple[str, str], list[str]] = {}
        for right in part.rights:
            by.setdefault((right.role, right.team), []).append(right.words)
        found.append((part, [(role, team, sorted(words)) for (role, team), words in sorted(by.items())]))
    return found


def _giving(ask: Ask, form: dict[str, str] | None, on: str = "") -> dict[str, Any]:
    """What a form needs to give a role: the parts and roles within what the asker may give."""
    may = ask.may("access.write")
    return {
        "parts": bindings.offered(ask.plane, ask.actor) if may and not on else (),
        "roles": bindings.givable(ask.plane, ask.actor, on=on) if may else (),
        "form": {"who": "", "role": "", "on": on, "device": "", "reason": "", "title": "", "label": "", "only_role": "", "only_on": "", "member": ""}
        | (form or {}),
    }


def person(ask: Ask) -> Show:
    """One person or service account: roles, everything they may, why."""
    return _person(ask)


def _self(ask: Ask) -> str:
    return f"/people/{quote(ask.path['user'])}"


def rename_person(ask: Ask) -> Show | Go:
    """What people call somebody."""
    form = {"title": ask.first("title")}
    try:
        made = ask.ask(accounts.change_user, body=read(r.UserChange, form), revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _person(ask, told(fault), form=form)
    return Go(_self(ask), f"{made.name} is saved.")


def invite(ask: Ask) -> Show:
    """A fresh invitation, shown this once."""
    try:
        made = ask.ask(accounts.invite, body=_reason(ask))
    except PAGE_FAULTS as fault:
        return _person(ask, told(fault))
    return _person(ask, invitation=made)


def _act(ask: Ask, handler: Any, to: str = "") -> Show | Go:
    try:
        said = ask.ask(handler, body=_reason(ask)).said
    except PAGE_FAULTS as fault:
        return _person(ask, told(fault), form={"reason": ask.first("reason")})
    return Go(to or _self(ask), said)


def disable(ask: Ask) -> Show | Go:
    """Shut somebody out at once."""
    return _act(ask, accounts.disable)


def enable(ask: Ask) -> Show | Go:
    """Let somebody in again."""
    return _act(ask, accounts.enable)


def remove_person(ask: Ask) -> Show | Go:
    """Remove somebody for good; the name is typed to be sure."""
    if ask.first("confirm") != ask.path["user"]:
        fault = Invalid("not-confirmed", f"this is not {ask.path['user']}", field="confirm", remedy="type the name to be sure")
        return _person(ask, told(fault))
    return _act(ask, accounts.remove_user, "/people")


def create_token(ask: Ask) -> Show:
    """A service account's token, shown this once."""
    form = {key: ask.first(key) for key in ("label", "only_role", "only_on")}
    try:
        only = ({"role": form["only_role"], "on": form["only_on"] or "fleet"},) if form["only_role"] else ()
        body = read(p.TokenCreate, {"label": form["label"], "valid_s": ask.first("valid_s", str(90 * DAY)), "only": only})
        made = ask.ask(people.create_user_token, body=body)
    except PAGE_FAULTS as fault:
        return _person(ask, told(fault), form=form)
    return _person(ask, token=made)


def revoke_token(ask: Ask) -> Go:
    """A service account's token is dead at once."""
    return Go(_self(ask), ask.ask(people.revoke_user_token).said)


# --- giving and taking ----------------------------------------------------------------------------------------------------


def _given(ask: Ask, who: str) -> dict[str, str]:
    """What a form to give a role holds."""
    form = {key: ask.first(key) for key in ("role", "on", "device", "reason")}
    form["who"] = who or ask.first("who")
    return form


def _give(ask: Ask, form: dict[str, str]) -> str:
    on = f"device:{form['device']}" if form["device"] else form["on"]
    made = ask.ask(access.give, body=read(r.BindingCreate, {"who": form["who"], "role": form["role"], "on": on, "reason": form["reason"]}))
    return f"{made.who} has the role {made.role} on {made.where} now."


def give_person(ask: Ask) -> Show | Go:
    """Give this person a role."""
    form = _given(ask, ask.path["user"])
    try:
        return Go(_self(ask), _give(ask, form))
    except PAGE_FAULTS as fault:
        return _person(ask, told(fault), form=form)


def give_team(ask: Ask) -> Show | Go:
    """Give this team a role."""
    form = _given(ask, ask.path["team"])
    try:
        return Go(f"/teams/{quote(ask.path['team'])}", _give(ask, form))
    except PAGE_FAULTS as fault:
        return _team(ask, told(fault), form=form)


def give_here(ask: Ask) -> Show | Go:
    """Give somebody a role here."""
    form = _given(ask, "")
    try:
        return Go(f"/access?{urlencode({'on': form['on']})}", _give(ask, form))
    except PAGE_FAULTS as fault:
        return _here(ask, form["on"], told(fault), form)


def take(ask: Ask) -> Go:
    """Take a role away, and go back to where it stood."""
    back = safe_next(ask.first("back"))
    try:
        return Go(back, ask.ask(access.take, body=_reason(ask)).said)
    except PAGE_FAULTS as fault:
        return Go(back, refusal(told(fault)), "bad")


def _here(ask: Ask, on: str, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    verb = ask.query.get("verb", "")
    verb = verb if verb in VERBS else ASKED_FIRST
    query = {"what": on, "verb": verb, "cursor": ask.query.get("cursor", ""), "limit": 100}
    able = ask.ask(access.who_can, query=read(queries.WhoCan, query))
    return Show(
        "access.html",
        {
            "able": able.items,
            "next_url": f"/access?{urlencode({'on': on, 'verb': verb, 'cursor': able.next})}" if able.next else "",
            "grants": ask.ask(access.list_bindings, query=read(queries.Bindings, {"on": on, "limit": 200})).items,
            "on": on,
            "verb": verb,
            "verb_words": WORDS[verb],
            "verbs": BY_WORDS,
            "problem": problem,
            "faults": faults_of(problem),
            **_giving(ask, form, on),
        },
        _after(problem),
    )


def here(ask: Ask) -> Show:
    """Who may do what on a part of the fleet."""
    on = ask.query.get("on", "")[:150]
    if not on:  # the largest part the asker looks after
        found = bindings.offered(ask.plane, ask.actor, verb="access.read")
        on = found[0].typed if found else "fleet"
    return _here(ask, on)


# --- teams ----------------------------------------------------------------------------------------------------------------


def _team(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    found: r.Team = ask.ask(accounts.get_team)
    everybody = ask.ask(accounts.list_users, query=read(queries.Users, {"kind": "person", "limit": 200})).items
    inside = {one.name for one in found.members}
    more = tuple(one for one in everybody if one.name not in inside)
    return Show("team.html", {"team": found, "others": more, "problem": problem, "faults": faults_of(problem), **_giving(ask, form)}, _after(problem))


def team(ask: Ask) -> Show:
    """One team: its people and its roles."""
    return _team(ask)


def create_team(ask: Ask) -> Show | Go:
    """A new team."""
    form = {"team": ask.first("team"), "team_title": ask.first("team_title")}
    try:
        made = ask.ask(accounts.create_team, body=read(r.TeamCreate, {"name": form["team"], "title": form["team_title"]}))
    except PAGE_FAULTS as fault:
        return _people(ask, told(fault), form=form)
    return Go(f"/teams/{quote(made.name)}", f"{made.title} is a team now. Put people into it and give it a role.")


def change_team(ask: Ask) -> Show | Go:
    """Another title, one more in it, or one less."""
    name = ask.path["team"]
    form = {"title": ask.first("title"), "member": ask.first("member")}
    try:
        inside = [one.name for one in ask.ask(accounts.get_team).members]
        wanted = [one for one in (*inside, *([form["member"]] if form["member"] else [])) if one != ask.first("drop")]
        given: dict[str, Any] = {"title": form["title"]} if "title" in ask.form else {"members": list(dict.fromkeys(wanted))}
        ask.ask(accounts.change_team, body=read(r.TeamChange, given), revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _team(ask, told(fault), form)
    return Go(f"/teams/{quote(name)}", "The team is saved.")


def remove_team(ask: Ask) -> Show | Go:
    """Remove a team."""
    try:
        return Go("/people", ask.ask(accounts.remove_team, body=_reason(ask)).said)
    except PAGE_FAULTS as fault:
        return _team(ask, told(fault))


# --- roles ----------------------------------------------------------------------------------------------------------------


def _roles(ask: Ask, problem: Problem | None = None, form: dict[str, Any] | None = None) -> Show:
    found = ask.ask(access.list_roles).items
    like = next((one for one in found if one.name == ask.query.get("like", "")), None)
    start = {"name": "", "title": "", "verbs": [right.verb for right in like.rights] if like else []}
    return Show(
        "roles.html",
        {"all_roles": found, "like": like, "verbs": BY_WORDS, "problem": problem, "faults": faults_of(problem), "form": start | (form or {})},
        _after(problem),
    )


def roles_page(ask: Ask) -> Show:
    """Every role; making one of one's own."""
    return _roles(ask)


def _role_form(ask: Ask) -> dict[str, Any]:
    return {"title": ask.first("title"), "verbs": ask.form.get("verbs", []), "reason": ask.first("reason")}


def create_role(ask: Ask) -> Show | Go:
    """A role of one's own."""
    form = {**_role_form(ask), "name": ask.first("name")}
    try:
        made = ask.ask(access.create_role, body=read(r.RoleCreate, form))
    except PAGE_FAULTS as fault:
        return _roles(ask, told(fault), form)
    return Go(f"/roles/{quote(made.name)}", f"{made.title} is a role now. Give it to somebody from their page.")


def _role(ask: Ask, problem: Problem | None = None, form: dict[str, Any] | None = None) -> Show:
    found: r.Role = ask.ask(access.get_role)
    start = {"title": found.title, "verbs": [right.verb for right in found.rights], "reason": ""}
    grants = ask.ask(access.list_bindings, query=read(queries.Bindings, {"role": found.name, "limit": 200})).items
    context = {"role": found, "grants": grants, "verbs": BY_WORDS, "problem": problem, "faults": faults_of(problem), "form": start | (form or {})}
    return Show("role.html", context, _after(problem))


def role(ask: Ask) -> Show:
    """One role: what it includes, who has it."""
    return _role(ask)


def change_role(ask: Ask) -> Show | Go:
    """Other rights for everybody who has the role."""
    form = _role_form(ask)
    try:
        made = ask.ask(access.change_role, body=read(r.RoleChange, form), revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _role(ask, told(fault), form)
    return Go(f"/roles/{quote(made.name)}", f"{made.title} is saved. It holds for everybody who has it from now on.")


def remove_role(ask: Ask) -> Show | Go:
    """Remove a role that nobody has."""
    try:
        return Go("/roles", ask.ask(access.remove_role, body=_reason(ask)).said)
    except PAGE_FAULTS as fault:
        return _role(ask, told(fault))


# --- the invitation ---------------------------------------------------------------------------------------------------------


def invitation_page(ask: Ask) -> Show:
    """What the invited sees: their name, and a password to choose."""
    code = ask.query.get("code", "")[:100]
    form = {"code": code, "title": ""}
    if not code:
        return Show("invitation.html", {"who": None, "form": form})
    try:
        who = invitations.look(ask.plane, code=code, address=ask.address)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return Show("invitation.html", {"who": None, "form": form, "problem": problem, "faults": faults_of(problem)}, 422)
    return Show("invitation.html", {"who": who, "form": {**form, "title": who.title}})


def accept_invitation(ask: Ask) -> Show | Go:
    """Set one's own password, and sign in with it."""
    form = {"code": ask.first("code"), "title": ask.first("title")}
    password, again = (ask.form.get(key, [""])[0] for key in ("password", "again"))
    who = None
    try:
        who = invitations.look(ask.plane, code=form["code"], address=ask.address)
        if password != again:
            raise Invalid("passwords-differ", "the two passwords are not the same", field="again")
        body = read(r.InvitationAccept, {**form, "password": password})
        user = invitations.accept(ask.plane, code=body.code, password=body.password, title=body.title, address=ask.address)
    except PAGE_FAULTS as fault:
        problem = told(fault)
        return Show("invitation.html", {"who": who, "form": form, "problem": problem, "faults": faults_of(problem)}, 422)
    try:
        # The invitation has proven who they are; a second factor, where there is one, is still asked for.
        made = sessions.complete(ask.plane, user, address=ask.address, agent=ask.agent)
    except Refused:
        return Go("/login", "Your password is set. Sign in with it.")
    return Go("/", f"Welcome, {user.title or user.name}. Your password is set.", session=made.secret, session_s=made.life_s)
