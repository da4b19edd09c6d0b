extends SceneTree
## A server asks its owner about each client: at once, later, never, and from handlers that do the worst.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const Tls := preload("res://support/tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const SECRET := "S3CRET"


## Is asked about clients, and answers as it is told.
class Doorman:
	extends Object
	var requests: Array[MioWebSocketRequest] = []
	var answer := Callable()

	func decide(request: MioWebSocketRequest) -> void:
		requests.append(request)
		if answer.is_valid():
			answer.call(request)

	func fail(request: MioWebSocketRequest) -> void:
		requests.append(request)
		var nothing: Variant = null
		nothing.fail()
		request.accept()

	func wants_two(_request: MioWebSocketRequest, _more: int) -> void:
		pass


var t := Harness.new()
var _server: MultiplayerPeer
var _door: Doorman
var _port := 0
var _events: Array[String] = []
## Kept, because a client that is dropped leaves.
var _raws: Array[Raw] = []


func _initialize() -> void:
	await process_frame
	t.begin(self, 50.0)
	if not t.ready():
		t.finish()
		return
	_property()
	_says_all()
	_lets_go()
	_later()
	_rejects()
	_wrong_arguments()
	_second_answers()
	_forgotten()
	_leaves()
	_places()
	_waiting_limit()
	_handlers()
	await _last_reference()
	_callables()
	_nothing_is_kept_without()
	_clients_of_the_engine()
	_tls()
	t.finish()


func _property() -> void:
	var peer := t.new_server()
	t.check("nobody is asked at first", peer.admission_callback.is_null())
	var door := Doorman.new()
	peer.admission_callback = door.decide
	t.equal("the callback is kept", peer.admission_callback, Callable(door, "decide"))
	peer.admission_callback = Callable()
	t.check("the callback can be taken away", peer.admission_callback.is_null())
	door.free()
	# The engine has to be able to make one when the extension is loaded anew.
	var nobodys := MioWebSocketRequest.new()
	t.equal("one that a script makes is nobody's", [nobodys.is_pending(), nobodys.get_path()], [false, ""])
	t.equal("and cannot be answered", [nobodys.accept(), nobodys.reject()], [ERR_UNAVAILABLE, ERR_UNAVAILABLE])


func _says_all() -> void:
	_open(func(request: MioWebSocketRequest) -> void: request.accept(["Set-Cookie: session=1", "X-A: b"]))
	var headers := (
		"Authorization: Bearer %s\r\nCookie: sid=%s; other=%%20\r\nX-List: a\r\nx-list: b\r\n" % [SECRET, SECRET]
		+ "Origin: https://example.com\r\n"
	)
	var raw := _ask("/play/%C3%A9?token=a%20b+c&x=1&x=2&flag", headers)
	t.check("a client that is accepted at once is in", _is_in(raw))
	var request := _door.requests[0]
	t.equal("its path", request.get_path(), "/play/%C3%A9")
	t.equal("its query", request.get_query(), {"flag": "", "token": "a b c", "x": "2"})
	t.equal("its query as it was sent", request.get_query_string(), "token=a%20b+c&x=1&x=2&flag")
	t.equal("its cookies", request.get_cookies(), {"other": "%20", "sid": SECRET})
	t.equal("a header", request.get_header("AUTHORIZATION"), "Bearer " + SECRET)
	t.equal("a header that is not there", request.get_header("X-None"), "")
	t.equal("a header of two lines", [request.get_header("X-List"), request.get_headers()["x-list"]], ["a, b", "a, b"])
	t.equal("headers by names in lower case", request.get_headers()["authorization"], "Bearer " + SECRET)
	t.equal("its origin", request.get_origin(), "https://example.com")
	t.equal("its sub-protocols", request.get_protocols(), PackedStringArray())
	t.equal(
		"where it comes from",
		[request.get_remote_address(), request.get_remote_port()],
		["127.0.0.1", raw.tcp.get_local_port()]
	)
	t.equal(
		"no TLS", [request.is_secure(), request.get_tls_version(), request.get_server_name()], [false, "", ""]
	)
	t.equal("the answer has the headers", [raw.header("Set-Cookie"), raw.header("X-A")], ["session=1", "b"])

	request.set_meta("user", "Ann")
	var id := int(_events[0])
	var kept: MioWebSocketRequest = _server.get_peer_request(id)
	t.check("the request is kept, with what was noted on it", kept == request and kept.get_meta("user") == "Ann")
	raw.tcp.disconnect_from_host()
	t.pump([_server], func() -> bool: return _events.size() == 2)
	t.expect_error("get_peer_request: no peer with the id")
	t.equal("and gone with its peer", _server.get_peer_request(id), null)
	t.equal("what it says can still be asked", request.get_path(), "/play/%C3%A9")
	_close()


## The server lets go of a request with its peer, however that goes.
func _lets_go() -> void:
	var ends := {
		"leaves": func(raw: Raw) -> void: raw.tcp.disconnect_from_host(),
		"is disconnected": func(_raw: Raw) -> void: _server.disconnect_peer(int(_events[0])),
		"is forced out": func(_raw: Raw) -> void: _server.disconnect_peer(int(_events[0]), true),
		"is there when the server is closed": func(_raw: Raw) -> void: _server.close(),
	}
	for how: String in ends:
		_open(func(request: MioWebSocketRequest) -> void: request.accept())
		var raw := _ask()
		t.check("a client is in that " + how, _is_in(raw))
		var held := _last().get_reference_count()
		ends[how].call(raw)
		t.pump([_server], func() -> bool: return _last().get_reference_count() < held, 1000)
		t.equal("its request is let go of", _last().get_reference_count(), held - 1)
		_close()


func _later() -> void:
	_open(Callable())
	var raw := _ask("/?token=x")
	t.check("who waits gets no answer", not raw.read_head([_server], 100) and raw.is_open())
	t.check("and is no peer", _events.is_empty() and _door.requests[0].is_pending())
	t.equal("accepted", _door.requests[0].accept(), OK)
	t.check("not pending any more", not _door.requests[0].is_pending())
	t.check("who is accepted later is in", _is_in(raw))
	_talks(raw)
	_close()


func _rejects() -> void:
	_open(Callable())
	for case: Array in [[403, "not on the list", "not on the list\n"], [401, "", "Unauthorized\n"], [599, "é", "é\n"]]:
		var raw := _ask()
		t.equal("rejected with %d" % case[0], _last().reject(case[0], case[1]), OK)
		_check_refusal(raw, case[0], case[2])
	var raw := _ask()
	_last().reject()
	_check_refusal(raw, 403, "Forbidden\n")
	t.equal("four are counted", _server.get_stats().refused_admission, 4)
	t.check("and none was in", _events.is_empty())
	_close()


func _wrong_arguments() -> void:
	_open(Callable())
	t.expect_error("accept: entry 1 of extra_headers contains CR, LF or NUL")
	t.expect_error("accept: entry 0 of extra_headers is empty")
	t.expect_error("accept: the client has not offered this sub-protocol")
	t.expect_error("reject: 200 is not in the range 400 to 599")
	var raw := _ask("/", "Sec-WebSocket-Protocol: token.%s, game\r\n" % SECRET)
	var request := _last()
	var counter := ErrorCounter.start()
	var codes := []
	for bad: Variant in [["X: y", "X: %s\r\nX-Smuggled: 1" % SECRET], PackedStringArray(["X: y", SECRET + "\n"]), [""]]:
		codes.append(request.accept(bad))
	codes.append(request.accept([], SECRET))
	codes.append(request.reject(200))
	counter.stop()
	var invalid := []
	invalid.resize(5)
	invalid.fill(ERR_INVALID_PARAMETER)
	t.equal("wrong arguments are errors", codes, invalid)
	t.equal("each has its line in the log", counter.count, 5)
	t.check("which tells nothing", not "".join(counter.lines).contains(SECRET))
	t.check("the client still waits", request.is_pending() and raw.is_open())
	t.equal("and can be accepted", request.accept(PackedStringArray(["X: y"]), "game"), OK)
	t.check("with the sub-protocol that was chosen", _is_in(raw) and raw.header("Sec-WebSocket-Protocol") == "game")
	t.equal("and nothing that was smuggled", [raw.header("X"), raw.header("X-Smuggled")], ["y", ""])
	t.equal("all that it offered is known", request.get_protocols(), PackedStringArray(["token." + SECRET, "game"]))
	_close()


func _second_answers() -> void:
	_open(Callable())
	var raw := _ask()
	_last().accept()
	var late := [_last().accept(), _last().reject()]
	t.check("the first answer counts", _is_in(raw))
	t.expect_error("accept: entry 0 of extra_headers contains CR, LF or NUL")
	late.append_array([_last().accept(["bad\n"]), _last().reject(404)])
	t.equal("others are errors", late, [ERR_UNAVAILABLE, ERR_UNAVAILABLE, ERR_INVALID_PARAMETER, ERR_UNAVAILABLE])
	_talks(raw)
	raw = _ask()
	_last().reject(410, "gone")
	t.equal("also after a rejection", [_last().accept(), _last().reject(500)], [ERR_UNAVAILABLE, ERR_UNAVAILABLE])
	_check_refusal(raw, 410, "gone\n")
	_close()


func _forgotten() -> void:
	_open(Callable())
	_server.handshake_timeout = 0.2
	t.expect_error("nobody has accepted or rejected the request within handshake_timeout")
	var raw := _ask("/?token=" + SECRET)
	_check_refusal(raw, 503, "no decision was made in time\n")
	t.check("who is forgotten does not wait for ever", not _last().is_pending())
	t.equal("and cannot be accepted any more", [_last().accept(), _last().reject()], [ERR_UNAVAILABLE, ERR_UNAVAILABLE])
	t.equal("counted", _server.get_stats().handshake_timeouts, 1)
	_close()


func _leaves() -> void:
	_open(Callable())
	var raw := _ask()
	raw.tcp.disconnect_from_host()
	var request := _last()
	t.check("it is noticed when a client leaves", t.pump([_server], func() -> bool: return not request.is_pending()))
	t.equal("then no answer is needed", [request.accept(), request.reject()], [ERR_UNAVAILABLE, ERR_UNAVAILABLE])
	t.spin([_server], 20)
	t.check("and nobody joins", _events.is_empty())
	_close()
	# Accepted, and gone before the next poll.
	_open(Callable())
	raw = _ask()
	_last().accept()
	raw.tcp.disconnect_from_host()
	t.spin([_server], 50)
	t.check("one that leaves with its answer leaves no one behind", _server.get_stats().joined == _events.size() / 2)
	_close()


func _places() -> void:
	_open(Callable())
	_server.max_clients = 2
	var raws: Array[Raw] = []
	for i in 4:
		raws.append(_ask())
	var codes := []
	for i: int in [3, 0, 2, 1]:
		codes.append(_door.requests[i].accept())
	t.equal("two of four who wait get a place", codes, [OK, OK, ERR_BUSY, ERR_BUSY])
	t.check("they are in", _is_in(raws[3], 2) and _is_in(raws[0], 2))
	_check_refusal(raws[2], 503, "the server is full\n")
	_check_refusal(raws[1], 503, "the server is full\n")
	var stats: Dictionary = _server.get_stats()
	t.equal("the others are counted as such", [stats.refused_full, stats.refused_admission], [2, 0])
	var asked := _door.requests.size()
	_check_refusal(_ask(), 503, "the server is full\n")
	t.equal("nobody is asked when there is no place", _door.requests.size(), asked)
	_close()


func _waiting_limit() -> void:
	_open(Callable())
	_server.max_pending_handshakes = 3
	for i in 5:
		_ask()
	var pending := _door.requests.map(func(request: MioWebSocketRequest) -> bool: return request.is_pending())
	t.equal("the newest wait", pending, [false, false, true, true, true])
	_close()


## What a handler may do before it returns, or not.
func _handlers() -> void:
	var both := func(request: MioWebSocketRequest) -> void:
		_server.poll()
		request.accept()
		_server.poll()
		_server.poll()
	_open(both)
	t.check("a handler may poll", _is_in(_ask()) and _server.get_peer_request(int(_events[0])) == _last())
	_close()

	_open(func(_request: MioWebSocketRequest) -> void: _server.close())
	var raw := _ask()
	t.equal("a handler may close the server", _server.get_connection_status(), Harness.DISCONNECTED)
	t.check("which ends all who wait", not _last().is_pending() and raw.wait_closed([_server]))
	t.equal("then they cannot be answered", [_last().accept(), _last().reject()], [ERR_UNAVAILABLE, ERR_UNAVAILABLE])
	t.equal("and the server can start anew", _server.create_server(_port, "127.0.0.1"), OK)
	_door.answer = func(request: MioWebSocketRequest) -> void: request.accept()
	t.check("and lets others in", _is_in(_ask()))
	_close()

	var anew := func(request: MioWebSocketRequest) -> void:
		_door.answer = Callable()
		_server.close()
		_server.create_server(_port, "127.0.0.1")
		request.accept()
	_open(anew)
	raw = _ask()
	t.check("a handler may start anew", _server.get_connection_status() == Harness.CONNECTED and raw.wait_closed([_server]))
	_close()

	_open(Callable())
	_server.admission_callback = _door.fail
	Engine.print_error_messages = false
	raw = _ask()
	Engine.print_error_messages = true
	t.check("a handler that fails has not answered", _last().is_pending() and raw.is_open())
	t.equal("that can be made up for", _last().accept(), OK)
	t.check("and the client is in", _is_in(raw))
	_close()


func _last_reference() -> void:
	_open(Callable())
	var watch: WeakRef = weakref(_server)
	_door.answer = func(request: MioWebSocketRequest) -> void:
		_server = null
		request.accept()
	var raw := Raw.dial(_port)
	raw.send_text(Raw.request(_port))
	for i in 500:
		if _server == null:
			break
		_server.poll()
		t.settle(1)
	t.check("a handler may drop the last reference", _server == null and _last().is_pending() == false)
	await process_frame
	await process_frame
	t.equal("which frees the server", watch.get_ref(), null)
	t.equal("and ends who waits", [_last().accept(), raw.wait_closed([])], [ERR_UNAVAILABLE, true])
	_door.free()


func _callables() -> void:
	_open(Callable())
	var freed := Doorman.new()
	_server.admission_callback = freed.decide
	freed.free()
	t.expect_error("admission_callback cannot be called any more")
	var counter := ErrorCounter.start()
	_check_refusal(_ask("/?token=" + SECRET), 503, "Service Unavailable\n")
	counter.stop()
	t.equal("a callback that is gone is told once for a client", counter.count, 1)
	t.check("without its secrets", not "".join(counter.lines).contains(SECRET))

	_server.handshake_timeout = 0.2
	t.expect_error("Error calling from signal '_asked'")
	for callback: Callable in [func() -> void: pass, _door.wants_two, func(_number: int) -> void: pass]:
		_server.admission_callback = callback
		counter = ErrorCounter.start()
		_check_refusal(_ask(), 503, "no decision was made in time\n")
		counter.stop()
		var lines := "".join(counter.lines)
		t.check("a callback that cannot take a request is told", "Error calling from signal" in lines, lines)
	t.expect_error("nobody has accepted or rejected")
	_server.admission_callback = Callable()
	t.check("without a callback all are let in", _is_in(_ask()))
	_server.handshake_timeout = 3.0
	# Both have asked when the first is answered, and the second is to be asked about.
	var raws: Array[Raw] = []
	_door.answer = func(request: MioWebSocketRequest) -> void:
		_server.admission_callback = Callable()
		request.accept()
	_server.admission_callback = _door.decide
	var asked := _door.requests.size()
	for i in 2:
		raws.append(Raw.dial(_port))
		raws[i].send_text(Raw.request(_port))
	t.settle()
	t.check("nor is anybody asked who has come before", _is_in(raws[0], 3) and _is_in(raws[1], 3))
	t.equal("but for the first", _door.requests.size(), asked + 1)
	_server.admission_callback = _door.decide
	_door.answer = func(request: MioWebSocketRequest) -> void: request.accept()
	t.check("and a callback can come back", _is_in(_ask(), 4))
	_close()


func _nothing_is_kept_without() -> void:
	_open(Callable())
	_server.admission_callback = Callable()
	t.check("a client is in without a callback", _is_in(_ask()))
	t.equal("nothing is kept of it", _server.get_peer_request(int(_events[0])), null)
	_close()


## A token in a header, in the query and in a sub-protocol, from both classes.
func _clients_of_the_engine() -> void:
	var judge := func(request: MioWebSocketRequest) -> void:
		var shown := [request.get_header("Authorization"), request.get_query().get("token", "")]
		shown.append_array(request.get_protocols())
		if shown.has("Bearer letmein") or shown.has("letmein") or shown.has("token.letmein"):
			request.accept([], "game" if request.get_protocols().has("game") else "")
		else:
			request.reject(401, "who are you?")
	for line: String in ["Invalid status code. Got: '401'", "Invalid response headers", "answered with HTTP status 401"]:
		t.expect_error(line)
	for name: String in [Harness.BUILT_IN, t.peer_class]:
		for case: Array in [
			["nothing", "/", [], [], false],
			["a wrong token", "/?token=letmeout", [], [], false],
			["a header", "/", ["Authorization: Bearer letmein"], [], true],
			["the query", "/?token=let%6dein", [], [], true],
			["a sub-protocol", "/", [], ["game", "token.letmein"], true],
		]:
			_open(judge)
			var client: MultiplayerPeer = ClassDB.instantiate(name)
			client.handshake_headers = PackedStringArray(case[2])
			client.supported_protocols = PackedStringArray(case[3])
			client.create_client(t.url(_port) + case[1])
			t.pump(
				[_server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING
			)
			t.equal(
				"%s with %s" % [name, case[0]],
				[client.get_connection_status() == Harness.CONNECTED, _server.get_stats().joined],
				[case[4], 1 if case[4] else 0]
			)
			client.close()
			_close()


func _tls() -> void:
	var tls := Tls.open(t)
	if tls == null:
		return
	for host: String in ["localhost", "127.0.0.1"]:
		_open(func(request: MioWebSocketRequest) -> void: request.accept(), tls.server("good"))
		var client := t.new_client()
		client.create_client(tls.url(_port, host), TLSOptions.client_unsafe())
		t.pump([_server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING)
		t.equal(
			"TLS to %s" % host,
			[_last().is_secure(), _last().get_tls_version(), _last().get_server_name()],
			[true, "TLSv1.3", host if host == "localhost" else ""]
		)
		t.retire([client])
		_close()


## A server whose doorman answers so.
func _open(answer: Callable, options: TLSOptions = null) -> void:
	_events.clear()
	_door = Doorman.new()
	_door.answer = answer
	_server = t.new_server()
	_server.admission_callback = _door.decide
	_server.peer_connected.connect(func(id: int) -> void: _events.append("%d" % id))
	_server.peer_disconnected.connect(func(id: int) -> void: _events.append("-%d" % id))
	_port = t.free_port()
	_server.create_server(_port, "127.0.0.1", options)


func _close() -> void:
	t.retire([_server])
	_server = null
	_door.free()
	_raws.clear()


func _last() -> MioWebSocketRequest:
	return _door.requests.back()


## A client that has sent its request, once the doorman has been asked about it or it has an answer.
func _ask(path := "/", extra := "") -> Raw:
	var raw := Raw.dial(_port, [_server])
	raw.send_text(Raw.request(_port, extra, path))
	var asked := _door.requests.size()
	var is_asked := func() -> bool: return _door.requests.size() > asked or not raw.inbox.is_empty()
	raw.wait([_server], is_asked, 500)
	_raws.append(raw)
	return raw


## Whether it got its answer and an id, and so many joined.
func _is_in(raw: Raw, count := 1) -> bool:
	if raw.head.is_empty():
		raw.read_head([_server])
	return (
		raw.status() == 101
		and not raw.read_frame([_server]).is_empty()
		and t.pump([_server], func() -> bool: return _events.size() >= count)
	)


func _talks(raw: Raw) -> void:
	raw.send_frame(Raw.BINARY, PackedByteArray([1, 2, 3]))
	var came := t.pump([_server], func() -> bool: return _server.get_available_packet_count() == 1)
	t.check("it can play", came and _server.get_packet() == PackedByteArray([1, 2, 3]))


func _check_refusal(raw: Raw, status: int, body: String) -> void:
	raw.read_head([_server])
	raw.wait_closed([_server])
	t.equal(
		"the client is told: %d" % status,
		[raw.status(), raw.header("Content-Type"), raw.inbox.get_string_from_utf8(), raw.is_open()],
		[status, "text/plain; charset=utf-8", body, false]
	)
