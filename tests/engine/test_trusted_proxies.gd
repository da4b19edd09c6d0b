extends SceneTree
## Players behind a proxy: the properties, whose address a peer has, and who is counted.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const HERE: PackedStringArray = ["127.0.0.1"]
const ELSEWHERE: PackedStringArray = ["192.0.2.1", "10.0.0.0/8"]
const V1 := "PROXY TCP4 198.51.100.7 127.0.0.1 4711 9080\r\n"
const V2: PackedByteArray = [
	13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 15,
	198, 51, 100, 8, 127, 0, 0, 1, 0x12, 0x68, 0x23, 0x78, 4, 0, 0,
]

var t := Harness.new()
var _server: MultiplayerPeer
var _port := 0
var _last_id := 0
## Kept, because a client that is dropped leaves.
var _raws: Array[Raw] = []


func _initialize() -> void:
	t.begin(self, 30.0)
	if not t.ready():
		return
	_settings()
	_headers()
	_spoofed()
	_proxy_protocol()
	_refusals()
	_rate()
	t.finish()


func _settings() -> void:
	var peer := t.new_server()
	t.equal(
		"nobody is trusted at first",
		[peer.trusted_proxies, peer.proxy_header, peer.proxy_protocol],
		[PackedStringArray(), "X-Forwarded-For", MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_OFF]
	)
	var proxies := PackedStringArray(["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"])
	peer.trusted_proxies = proxies
	t.equal("addresses and networks are kept", peer.trusted_proxies, proxies)
	peer.trusted_proxies = PackedStringArray(["10.1.2.3/8", "::ffff:192.0.2.1"])
	t.equal("in their shortest form", peer.trusted_proxies, PackedStringArray(["10.0.0.0/8", "192.0.2.1"]))
	t.expect_error("trusted_proxies: entry 1 of trusted_proxies is neither an address nor a network")
	t.expect_error("proxy_header: proxy_header is not the name of a header")
	t.expect_error("proxy_protocol: 3 is not in the range 0 to 2")
	t.expect_error("proxy_protocol: -1 is not in the range 0 to 2")
	peer.trusted_proxies = HERE
	peer.proxy_header = "CF-Connecting-IP"
	peer.proxy_protocol = MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_REQUIRED
	var counter := ErrorCounter.start()
	for bad: String in ["localhost", "10.0.0.0/33", "", "127.0.0.1:80"]:
		peer.trusted_proxies = PackedStringArray(["::1", bad])
	peer.proxy_header = "X Real IP"
	peer.proxy_protocol = 3
	peer.proxy_protocol = -1
	counter.stop()
	t.equal(
		"a value that cannot be used is an error and changes nothing",
		[peer.trusted_proxies, peer.proxy_header, peer.proxy_protocol, counter.count],
		[HERE, "CF-Connecting-IP", MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_REQUIRED, 7]
	)
	peer.trusted_proxies = PackedStringArray()
	t.expect_error("create_server: proxy_protocol needs the proxy's address in trusted_proxies")
	t.equal("a PROXY header needs somebody to trust", peer.create_server(0), ERR_INVALID_PARAMETER)
	peer.trusted_proxies = HERE
	t.equal("and then it listens", peer.create_server(0), OK)
	peer.close()


func _headers() -> void:
	_open(HERE)
	t.equal(
		"X-Forwarded-For is read from the right",
		_joined_as("X-Forwarded-For: 192.0.2.66, 198.51.100.7, 127.0.0.1\r\n"),
		"198.51.100.7:0"
	)
	t.equal("IPv6 addresses are not shortened", _joined_as("x-forwarded-for: 2001:db8::1\r\n"), "2001:db8:0:0:0:0:0:1:0")
	t.equal("without the header it is the proxy's own", _joined_as("").begins_with("127.0.0.1:"), true)
	t.equal("and with one that says nothing", _joined_as("X-Forwarded-For: unknown\r\n").begins_with("127.0.0.1:"), true)
	_server.proxy_header = "Forwarded"
	t.equal(
		"Forwarded has quotes and ports",
		_joined_as("Forwarded: for=192.0.2.66, for=\"198.51.100.7:4711\";proto=https\r\n"),
		"198.51.100.7:4711"
	)
	_server.proxy_header = "CF-Connecting-IP"
	t.equal("any header can be the one", _joined_as("CF-Connecting-IP: 198.51.100.9\r\n"), "198.51.100.9:0")
	t.equal("but only that one", _joined_as("X-Forwarded-For: 198.51.100.9\r\n").begins_with("127.0.0.1:"), true)
	_close()


func _spoofed() -> void:
	for trusted: PackedStringArray in [PackedStringArray(), ELSEWHERE]:
		_open(trusted)
		var own: Array[bool] = []
		for name: String in ["X-Forwarded-For", "Forwarded", "X-Real-IP"]:
			_server.proxy_header = name
			var lie := "X-Forwarded-For: 198.51.100.7, 10.0.0.1\r\nForwarded: for=198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n"
			own.append(_joined_as(lie) == "127.0.0.1:%d" % _raws.back().tcp.get_local_port())
		t.equal("who is not in %s says nothing" % trusted, own, [true, true, true] as Array[bool])
		_close()


func _proxy_protocol() -> void:
	for protocol: int in [1, 2]:
		_open(HERE, {"proxy_protocol": protocol})
		t.equal("version 1, mode %d" % protocol, _joined_as("", V1.to_utf8_buffer()), "198.51.100.7:4711")
		t.equal("version 2, mode %d" % protocol, _joined_as("", V2), "198.51.100.8:4712")
		t.equal(
			"the request of a player behind it says nothing, mode %d" % protocol,
			_joined_as("X-Forwarded-For: 192.0.2.66\r\n", V2),
			"198.51.100.8:4712"
		)
		_close()
	_open(HERE, {"proxy_protocol": MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_OPTIONAL})
	t.equal("an optional one may be left out", _joined_as("").begins_with("127.0.0.1:"), true)
	var client := t.new_client()
	client.create_client("ws://127.0.0.1:%d" % _port)
	var joins := t.pump([_server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	t.check("by the client of the class, too", joins)
	client.close()
	_close()


func _refusals() -> void:
	t.expect_error("there is no PROXY header")
	t.expect_error("the PROXY header has no valid address")
	_open(HERE, {"proxy_protocol": MioWebSocketMultiplayerPeer.PROXY_PROTOCOL_REQUIRED})
	t.check("a required one may not be left out", _is_dropped(PackedByteArray()))
	t.check("one that is malformed ends the connection", _is_dropped("PROXY TCP4 a b 1 2\r\n".to_utf8_buffer()))
	_close({"refused_proxy": 2, "joined": 0})
	for protocol: int in [1, 2]:
		_open(ELSEWHERE, {"proxy_protocol": protocol})
		t.check("nobody else may send one, mode %d" % protocol, _is_dropped(V2))
		_close({"refused_proxy": 1, "joined": 0})


## With a rate of 1 four may come at once.
func _rate() -> void:
	_open(HERE, {"connections_per_second_per_address": 1})
	var statuses := {101: 0, 429: 0}
	for i in 10:
		statuses[_ask("X-Forwarded-For: 198.51.100.7\r\n").status()] += 1
	t.check("a player behind the proxy is counted", statuses[101] in [4, 5] and statuses[429] in [5, 6], statuses)
	t.equal("another one is not kept out", _ask("X-Forwarded-For: 198.51.100.8\r\n").status(), 101)
	var all_in := true
	for i in 10:
		all_in = all_in and _ask("").status() == 101
	t.check("the proxy itself may come as it likes", all_in)
	_close({"refused_rate": statuses[429]})


func _open(trusted: PackedStringArray, settings := {}) -> void:
	_server = t.new_server()
	_server.trusted_proxies = trusted
	for name: String in settings:
		_server.set(name, settings[name])
	_port = t.free_port()
	_server.create_server(_port, "127.0.0.1")
	_server.peer_connected.connect(func(id: int) -> void: _last_id = id)


func _close(wanted := {}) -> void:
	var stats: Dictionary = _server.get_stats()
	for name: String in wanted:
		t.equal("%s is counted" % name, stats.get(name), wanted[name])
	_raws.clear()
	t.retire([_server])


## Asks with header lines `extra`, behind the bytes of `front`.
func _ask(extra: String, front := PackedByteArray()) -> Raw:
	var raw := Raw.dial(_port, [_server])
	raw.send(front + Raw.request(_port, extra).to_utf8_buffer())
	raw.read_head([_server])
	_raws.append(raw)
	return raw


## The address and port that the server knows of a client.
func _joined_as(extra: String, front := PackedByteArray()) -> String:
	_last_id = 0
	_ask(extra, front)
	if not t.pump([_server], func() -> bool: return _last_id != 0):
		return "nobody joined"
	return "%s:%d" % [_server.get_peer_address(_last_id), _server.get_peer_port(_last_id)]


func _is_dropped(front: PackedByteArray) -> bool:
	var raw := Raw.dial(_port, [_server])
	raw.send(front + Raw.request(_port).to_utf8_buffer())
	return raw.wait_closed([_server]) and raw.inbox.is_empty()
