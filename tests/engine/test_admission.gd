extends SceneTree
## Who is let in: the properties of a server, and the answers to those who are not, while a client plays on.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const DEFAULTS := {
	"max_clients": 0,
	"max_pending_handshakes": 1024,
	"connections_per_second_per_address": 0,
	"max_request_size": 16384,
}
const LEAST := {
	"max_clients": 0,
	"max_pending_handshakes": 1,
	"connections_per_second_per_address": 0,
	"max_request_size": 256,
}
const COUNTS: PackedStringArray = [
	"accepted",
	"joined",
	"refused_full",
	"refused_draining",
	"refused_rate",
	"refused_proxy",
	"refused_path",
	"refused_origin",
	"refused_request",
	"refused_admission",
	"failed_tls",
	"handshake_timeouts",
	"handshakes_displaced",
	"accept_errors",
	"closed_too_big",
	"closed_fragments",
	"closed_rate",
	"closed_protocol",
	"closed_overflow",
	"closed_memory",
	"packets_refused",
	"packets_dropped",
]

var t := Harness.new()
var _net: Dictionary
## Kept, because a client that is dropped leaves.
var _raws: Array[Raw] = []


func _initialize() -> void:
	t.begin(self, 30.0)
	if not t.ready():
		return
	_numbers()
	_lists()
	_places()
	_handshakes()
	_rate()
	_paths_and_origins()
	_request_size()
	_time_limit()
	_log()
	t.finish()


func _numbers() -> void:
	for name: String in DEFAULTS:
		# The log of each has its own limit.
		var peer := t.new_server()
		t.equal("%s is %d at first" % [name, DEFAULTS[name]], peer.get(name), DEFAULTS[name])
		for value: int in [LEAST[name], 2147483647, 4000]:
			peer.set(name, value)
			t.equal("%s can be %d" % [name, value], peer.get(name), value)
		var counter := ErrorCounter.start()
		t.expect_error("is not in the range %d to 2147483647" % LEAST[name])
		for value: int in [LEAST[name] - 1, -1, -2147483649, 2147483648, 4294967296 + 4000]:
			peer.set(name, value)
		counter.stop()
		t.equal("%s stays after values that it cannot have" % name, [peer.get(name), counter.count], [4000, 5])


func _lists() -> void:
	var peer := t.new_server()
	var good := {
		"allowed_paths": PackedStringArray(["/", "/play", "/a%20b/é"]),
		"allowed_origins": PackedStringArray(["https://example.com", "http://localhost:8000", "null"]),
	}
	var bad := {
		"allowed_paths": ["play", "", "/a?b", "/a b"],
		"allowed_origins": ["example.com", "", "https://example.com/", "https://*.example.com"],
	}
	for name: String in good:
		t.equal("%s is empty at first" % name, peer.get(name), PackedStringArray())
		peer.set(name, good[name])
		t.equal("%s is kept" % name, peer.get(name), good[name])
		t.expect_error(name + ": entry 1 of " + name)
		var counter := ErrorCounter.start()
		for entry: String in bad[name]:
			peer.set(name, PackedStringArray([good[name][0], entry]))
		counter.stop()
		t.equal(
			"%s stays after entries that it cannot have" % name, [peer.get(name), counter.count], [good[name], 4]
		)
		peer.set(name, PackedStringArray())
		t.equal("%s can be empty" % name, peer.get(name), PackedStringArray())


func _places() -> void:
	_open({"max_clients": 2})
	var second := _ask()
	t.equal("a client gets the second place of two", second.status(), 101)
	var third := _ask()
	t.equal("503 and when to try again, without a place", [third.status(), third.header("Retry-After")], [503, "5"])
	var gone := [0]
	_net.server.peer_disconnected.connect(func(_id: int) -> void: gone[0] += 1)
	second.tcp.disconnect_from_host()
	t.pump(_net.all, func() -> bool: return gone[0] == 1)
	t.equal("a place is free when its client has gone", _ask().status(), 101)
	_net.server.max_clients = 3
	t.equal("a limit can be raised at any time", [_ask().status(), _ask().status()], [101, 503])
	_counted({"joined": 4, "refused_full": 2, "accepted": 6})
	_close()


func _handshakes() -> void:
	_open({"max_pending_handshakes": 20})
	for i in 200:
		_raws.append(Raw.dial(_net.port))
	t.equal("200 silent connections do not keep a newcomer out", _ask().status(), 101)
	var is_done := func() -> bool: return _net.server.get_stats().accepted == 202
	t.pump(_net.all, is_done)
	_counted({"joined": 2, "handshakes_displaced": 181, "handshake_timeouts": 0})
	_close()


func _rate() -> void:
	_open({"connections_per_second_per_address": 1})
	# The burst is four, one of which the client has had. All of these come in one poll.
	for i in 12:
		_raws.append(Raw.dial(_net.port))
	var last: Raw = _raws.back()
	last.read_head(_net.all)
	t.equal(
		"429 and when to try again, before anything is asked",
		[last.status(), last.header("Retry-After"), last.wait_closed(_net.all)],
		[429, "1", true]
	)
	var refused: int = _net.server.get_stats().refused_rate
	t.check("those of the burst are let in", refused == 8 or refused == 9, "%d were refused" % refused)
	t.settle(1001)
	t.equal("a second later one more is let in", _ask().status(), 101)
	_counted({"accepted": 14, "joined": 2, "refused_rate": refused})
	_close()


func _paths_and_origins() -> void:
	_open({})
	_net.server.allowed_paths = PackedStringArray(["/play"])
	_net.server.allowed_origins = PackedStringArray(["https://example.com"])
	t.equal("404 for another path", _ask("/").status(), 404)
	t.equal("403 for another origin", _ask("/play", "Origin: https://example.org\r\n").status(), 403)
	t.equal("101 for the origin in capitals", _ask("/play?x=/", "Origin: HTTPS://EXAMPLE.COM\r\n").status(), 101)
	t.equal("101 for a client that is no browser", _ask("/play").status(), 101)
	_counted({"refused_path": 1, "refused_origin": 1, "refused_request": 0, "joined": 3})
	_close()


func _request_size() -> void:
	_open({"max_request_size": 1000})
	var padding := 1000 - Raw.request(_net.port, "X: \r\n").length()
	t.equal("101 for a request of 1000 bytes", _ask("/", "X: %s\r\n" % "x".repeat(padding)).status(), 101)
	t.expect_error("upgrade refused with 431")
	t.equal("431 for one of 1001", _ask("/", "X: %s\r\n" % "x".repeat(padding + 1)).status(), 431)
	_counted({"refused_request": 1, "joined": 2})
	_close()


func _time_limit() -> void:
	_open({"handshake_timeout": 0.5})
	var slow := Raw.dial(_net.port, _net.all)
	var request := Raw.request(_net.port).to_utf8_buffer()
	for i in request.size():
		if not slow.is_open():
			break
		slow.send(request.slice(i, i + 1))
		t.spin(_net.all, 10)
		slow.poll()
	t.check("a request that trickles in does not hold the server", not slow.is_open() and slow.inbox.is_empty())
	_counted({"handshake_timeouts": 1, "joined": 1})
	_close()


## Refusals that are nobody's fault are for verbose logs.
func _log() -> void:
	var counter := ErrorCounter.start()
	_open({"max_clients": 1, "connections_per_second_per_address": 20})
	_net.server.allowed_paths = PackedStringArray(["/play"])
	for i in 100:
		_raws.append(Raw.dial(_net.port))
		_raws[i].send_text(Raw.request(_net.port, "", "/play" if i % 2 == 0 else "/"))
	t.pump(_net.all, func() -> bool: return _net.server.get_stats().accepted >= 101)
	t.check("the client plays on among refusals", t.talks(_net))
	counter.stop()
	var stats: Dictionary = _net.server.get_stats()
	t.check(
		"refusals are no errors",
		counter.count == 0 and stats.refused_full > 10 and stats.refused_path > 10 and stats.refused_rate > 10,
		"%d lines, %s" % [counter.count, stats]
	)
	t.equal("every count has a name", PackedStringArray(stats.keys()).slice(0, COUNTS.size()), COUNTS)
	_close()


## A server with `settings` and a client that plays.
func _open(settings: Dictionary) -> void:
	var configure := func(peer: MultiplayerPeer, is_server: bool) -> void:
		if is_server:
			for name: String in settings:
				peer.set(name, settings[name])
	_net = t.connect_net(1, configure)


func _close() -> void:
	_raws.clear()
	t.close_net(_net)


func _ask(path := "/", extra := "") -> Raw:
	var raw := Raw.dial(_net.port, _net.all)
	raw.send_text(Raw.request(_net.port, extra, path))
	raw.read_head(_net.all)
	_raws.append(raw)
	if not t.talks(_net):
		t.check("the client plays on", false, "it does not, after %s %s" % [path, extra.left(100)])
	return raw


func _counted(wanted: Dictionary) -> void:
	var stats: Dictionary = _net.server.get_stats()
	var got := {}
	for name: String in wanted:
		got[name] = stats.get(name)
	t.equal("the counts say so: %s" % wanted, got, wanted)
