"""Judges a soak: knows every token that the provider ever issued, and what became of each branch.

Pure: it is told events (what the provider logged, what was asked and answered, which workers were killed) and
says which promises were broken. Times are seconds of one clock.
"""

import bisect
import hashlib
import threading
from collections import Counter, namedtuple
from datetime import datetime

PROMISES = {
    "own": "a token that is answered was issued by the provider to that branch",
    "alive": "no token is answered that had expired when it was asked for",
    "newest": "no token is answered that is older than one answered before, or was ended by a consent or a revocation",
    "withheld": "a token that works is not withheld because of the provider",
    "state": "an error fits what was done with the branch",
    "complete": "every answer is complete JSON; 5xx is 502, or 503 with Retry-After",
    "grant": "no grant is lost: no refresh token is sent that is spent, or ended",
    "served": "in the end every connected branch is refreshed and served a token that works",
    "memory": "the processes' memory is flat",
    "descriptors": "the processes' descriptors do not grow",
    "connections": "one database connection for each worker, and no transaction left open",
    "log": "the logs grow by no more than their share",
    "ends": "what was told to end does so in order, and leaves nothing",
}

# What a branch may be like. A branch that was never connected has no grant; one whose grant the provider ended is lost.
ABSENT, NONE, CONNECTED, REVOKED, LOST, DELETED = "absent", "none", "connected", "revoked", "lost", "deleted"
ABSENCES = {"branch_not_found": {ABSENT, DELETED}, "client_not_found": {ABSENT, DELETED},
            "authorization_required": {NONE}, "reauthorization_required": {REVOKED, LOST}}
OF_THE_PROVIDER = ("provider_unavailable", "provider_error", "refresh_in_progress")
TEMPORARY = (*OF_THE_PROVIDER, "database_unavailable", "overloaded", "rate_limited", "client_credentials_rejected")
# A token that ends so soon after its answer may be withheld: it may have been too late when the worker looked.
MARGIN_S = 1.0
# The provider counts its whole seconds otherwise than the service does.
ROUNDING_S = 1.0

Answer = namedtuple("Answer", "call host branch sent received status body retry_after request_id")
Violation = namedtuple("Violation", "promise branch at request_id detail")
Issued = namedtuple("Issued", "branch rank expires_at")


def prefix_hash(token):
    """What may stand in a report instead of a token."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


class Operation:
    """Something that is to bring a branch into a state. clear: it was answered that it did; else it may have, or may
    yet."""

    def __init__(self, branch, state, began):
        self.branch, self.state, self.began = branch, state, began
        self.ended, self.clear = None, False


class Branch:
    """What is known of one branch."""

    def __init__(self):
        self.operations = []  # in the order of their beginnings
        self.grants = []  # when each code was exchanged, in the order of the exchanges
        self.floor_times = []  # from this moment on …
        self.floor_ranks = []  # … nothing below this rank may be answered; both grow

    def states(self, sent, received):
        """What it may have been like while a request was under way."""
        now = {ABSENT}
        for each in self.operations:
            if each.clear and each.ended <= sent:
                now = {each.state}
            elif each.began < received:
                now.add(each.state)
        return now

    def raise_floor(self, at, rank):
        if not self.floor_ranks or rank > self.floor_ranks[-1]:
            self.floor_times.append(max([at, *self.floor_times[-1:]]))
            self.floor_ranks.append(rank)

    def floor(self, sent):
        index = bisect.bisect_left(self.floor_times, sent)
        return self.floor_ranks[index - 1] if index else None


class Oracle:
    """Thread-safe. judge() belongs to one thread: learn() what the provider logged since begin_round(), then judge()."""

    def __init__(self, promises=PROMISES):
        self.promises = promises
        self.violations = []
        self.answers = Counter()  # (call, status, code)
        self.excused = []  # lost grants that no protocol could have kept
        self.refreshes = Counter()  # by result
        self._lock = threading.Lock()
        self._inbox, self._round = [], []  # answers: for the next round, and of this one
        self._ended, self._ended_in_round = [], []  # revocations and deletions, the same
        self._branches = {}  # by name
        self._names = {}  # of branches, by the provider's client id: each has one of its own
        self._issued = {}  # by access token
        self._by_rank = {}
        self._grants = {}  # refresh token → (branch, number of its grant)
        self._spent = {}  # refresh token → the request that spent it
        self._revocations = {}  # branch → [(when, number of the grant that was named)]
        self._kills = []  # (when, ports of the provider's connections that the process had)
        self._on_port = {}  # port of the provider's peer → {sequence: when it came}
        self._seen = set()  # (sequence, what was learnt of it)
        self._suspects = []

    # --- told -------------------------------------------------------------------------------------

    def broken(self, promise, branch, detail, at=None, request_id=None):
        assert promise in self.promises, promise
        with self._lock:
            self.violations.append(Violation(promise, branch, at, request_id, detail))

    def registered(self, branch, oauth_id):
        """Before the call that registers it: this client of the provider is this branch's alone."""
        with self._lock:
            self._branches[branch] = Branch()
            self._names[oauth_id] = branch

    def begin(self, branch, state, at):
        """Before an Operation of this branch, of which there is one at a time; it is returned."""
        operation = Operation(branch, state, at)
        with self._lock:
            self._add(operation)
        return operation

    def end(self, operation, at, clear):
        with self._lock:
            operation.ended, operation.clear = at, clear
            if clear and operation.state in (REVOKED, DELETED):
                self._ended.append(operation)

    def _add(self, operation):
        bisect.insort(self._branches[operation.branch].operations, operation, key=lambda each: each.began)

    def answered(self, answer):
        with self._lock:
            self._inbox.append(answer)
            self.answers[(answer.call, answer.status, (answer.body or {}).get("error"))] += 1

    def worker_killed(self, at, ports):
        """ports: of its open connections to the provider, seen while it stood still."""
        with self._lock:
            self._kills.append((at, frozenset(ports)))

    def state(self, branch, at):
        with self._lock:
            return self._branches[branch].states(at, at)

    # --- the provider's log -----------------------------------------------------------------------

    def begin_round(self):
        """From here on: what was answered until now is judged by what learn() brings."""
        with self._lock:
            self._round += self._inbox
            self._ended_in_round += self._ended
            self._inbox, self._ended = [], []

    def learn(self, entries):
        """Entries of the provider's log; again, once more is known of one."""
        with self._lock:
            for entry in entries:
                branch = self._names.get(entry["client_id"])
                if entry["endpoint"] == "revocation":
                    self._learn_revocation(entry)
                elif branch:
                    self._learn_token_request(branch, entry)

    def _first_time(self, entry, what):
        key = (entry["sequence"], what)
        new = key not in self._seen
        self._seen.add(key)
        return new

    def _learn_revocation(self, entry):
        if entry["result"] == "ok" and entry["token"] in self._grants and self._first_time(entry, "revoked"):
            branch, number = self._grants[entry["token"]]
            self._revocations.setdefault(branch, []).append((entry["started_at"] / 1000, number))

    def _learn_token_request(self, branch, entry):
        self._on_port.setdefault(entry["peer_port"], {})[entry["sequence"]] = entry["started_at"] / 1000
        is_refresh = entry["grant_type"] == "refresh_token"
        if entry["access_token"] and self._first_time(entry, "issued"):
            self._learn_issue(branch, entry, is_refresh)
        if is_refresh and entry["ended_at"] and self._first_time(entry, "ended"):
            self.refreshes[entry["result"] or f"fault: {entry['fault']}"] += 1
        if is_refresh and entry["result"] == "invalid_grant" and self._first_time(entry, "refused"):
            self._suspects.append((branch, entry))
        # The newest word on a request that spent a refresh token: was the answer delivered?
        spender = self._spent.get(entry["refresh_token"])
        if spender and spender["sequence"] == entry["sequence"]:
            self._spent[entry["refresh_token"]] = entry

    def _learn_issue(self, branch, entry, is_refresh):
        known = self._branches[branch]
        if is_refresh:
            number = self._grants.get(entry["refresh_token"], (branch, 0))[1]
        else:
            known.grants.append(entry["started_at"] / 1000)
            number = len(known.grants)
        new = entry["new_refresh_token"]
        if new and new != entry["refresh_token"]:
            self._grants[new] = (branch, number)
            if is_refresh:
                self._spent[entry["refresh_token"]] = entry
        rank = (number, entry["sequence"])
        expires_at = entry["issued_at"] / 1000 + entry["expires_in"]
        self._issued[entry["access_token"]] = self._by_rank[(branch, rank)] = Issued(branch, rank, expires_at)

    # --- judged -----------------------------------------------------------------------------------

    def judge(self):
        """What was answered before begin_round(), and what the provider refused."""
        with self._lock:
            # Whether that answer will arrive is not known: what depends on it is judged another time.
            if any(self._is_answered_later(entry) for _, entry in self._suspects):
                return
            suspects, self._suspects = self._suspects, []
            answers, self._round = self._round, []
            for branch, entry in suspects:
                self._judge_refused(branch, entry)
            for operation in self._ended_in_round:
                self._end_grants(operation)
            self._ended_in_round = []
            for answer in sorted(answers, key=lambda each: each.received):
                self._judge_answer(answer)

    def _end_grants(self, operation):
        """No token of a grant that came before it may be answered from here on."""
        known = self._branches[operation.branch]
        last = sum(1 for began in known.grants if began <= operation.ended)
        known.raise_floor(operation.ended, (last, float("inf")))

    def _say(self, promise, answer, detail):
        text = f"{answer.call} on {answer.host}, {answer.status}, {answer.sent:.3f} to {answer.received:.3f}: {detail}"
        self.violations.append(Violation(promise, answer.branch, answer.received, answer.request_id, text))

    def _judge_answer(self, answer):
        error = (answer.body or {}).get("error")
        if not self._is_complete(answer, error):
            return
        if answer.branch is None:
            return
        if answer.status == 200 and answer.body.get("access_token"):
            self._judge_token(answer)
        elif error in ABSENCES:
            states = self._branches[answer.branch].states(answer.sent, answer.received)
            if not states & ABSENCES[error]:
                self._say("state", answer, f"{error}, but the branch is {' or '.join(sorted(states))}")
        elif error in OF_THE_PROVIDER and answer.call == "GET /tokens":
            self._judge_withheld(answer, error)
        elif answer.status >= 400 and error not in TEMPORARY:
            self._say("state", answer, f"{error} is no answer to this call")

    def _is_complete(self, answer, error):
        is_health = answer.call == "GET /health" and (answer.body or {}).get("status") == "unhealthy"
        if answer.body is None:
            self._say("complete", answer, "the body is no JSON")
        elif answer.status >= 500 and answer.status not in (502, 503):
            self._say("complete", answer, f"{error}")
        elif answer.status in (429, 503) and not (answer.retry_after or "").isdigit():
            self._say("complete", answer, f"{error}, and no Retry-After")
        elif answer.status >= 400 and not is_health and not (error and answer.body.get("request_id")):
            self._say("complete", answer, "an error without its code or its request_id")
        else:
            return True
        return False

    def _judge_token(self, answer):
        token = answer.body["access_token"]
        issued = self._issued.get(token)
        name = f"token {prefix_hash(token)}"
        if not issued:
            return self._say("own", answer, f"{name} was never issued")
        if issued.branch != answer.branch:
            return self._say("own", answer, f"{name} is that of {issued.branch}")
        name += f" (grant {issued.rank[0]}, request {issued.rank[1]} of the provider)"
        if issued.expires_at < answer.sent:
            self._say("alive", answer, f"{name} expired at {issued.expires_at:.3f}")
        said = answer.body.get("expires_at")
        if said and datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp() > issued.expires_at + ROUNDING_S:
            self._say("alive", answer, f"{name} expires at {issued.expires_at:.3f}, but {said} is answered")
        known = self._branches[answer.branch]
        floor = known.floor(answer.sent)
        if floor and issued.rank < floor:
            self._say("newest", answer, f"{name}, after one of grant {floor[0]}, request {floor[1]}")
        states = known.states(answer.sent, answer.received)
        if CONNECTED not in states:
            self._say("state", answer, f"{name}, but the branch is {' or '.join(sorted(states))}")
        known.raise_floor(answer.received, issued.rank)

    def _judge_withheld(self, answer, error):
        """The newest token that anybody was answered is in the row, or one that is newer still."""
        known = self._branches[answer.branch]
        issued = self._by_rank.get((answer.branch, known.floor(answer.sent)))
        if not issued or known.states(answer.sent, answer.received) != {CONNECTED}:
            return
        if issued.expires_at > answer.received + MARGIN_S:
            self._say("withheld", answer, f"{error}, but there is one that lives until {issued.expires_at:.3f}")

    # --- lost grants ------------------------------------------------------------------------------

    def _is_answered_later(self, refused):
        """Is the request that spent this one's refresh token still under way?"""
        spender = self._spent.get(refused["refresh_token"])
        return spender is not None and not spender["ended_at"]

    def _judge_refused(self, branch, entry):
        """The provider said invalid_grant: the grant is gone. Whose doing was it?"""
        at = entry["started_at"] / 1000
        token = entry["refresh_token"]
        number = self._grants.get(token, (branch, None))[1]
        name = f"refresh token {prefix_hash(token)} of grant {number}, request {entry['sequence']} of the provider"
        if number is None:
            return self._lose(branch, at, f"{name}: never issued")
        revoked = [grant for when, grant in self._revocations.get(branch, []) if when <= at]
        if number in revoked:
            return None  # was asked for by a caller of the service
        spender = self._spent.get(token)
        if spender is None and revoked:
            return self._lose(branch, at, f"{name}: ended by the revocation of grant {revoked[-1]}")
        if spender is None:
            return self._lose(branch, at, f"{name}: refused, though it was neither spent nor revoked")
        excuse = self._excuse(spender)
        if not excuse:
            return self._lose(branch, at, f"{name}: spent by request {spender['sequence']}, whose answer was delivered")
        self.excused.append((branch, at, f"{name}: spent by request {spender['sequence']}, {excuse}"))
        self._add(Operation(branch, LOST, at))
        return None

    def _lose(self, branch, at, detail):
        self.violations.append(Violation("grant", branch, at, None, detail))
        self._add(Operation(branch, LOST, at))  # what follows from it is not told again

    def _excuse(self, spender):
        """With a provider that rotates, what it issued is lost with the answer or with who had to store it."""
        if spender["aborted"] or spender["fault"] == "drop_after":
            return "whose answer did not arrive"
        came_on = self._on_port[spender["peer_port"]]
        for at, ports in self._kills:
            if spender["peer_port"] in ports and came_on[spender["sequence"]] <= at:
                if not any(sequence > spender["sequence"] and came <= at for sequence, came in came_on.items()):
                    return "the last of a worker that was killed"
        return None
