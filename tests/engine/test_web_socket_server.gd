extends SceneTree
## MioWebSocketServer: connections that are sockets by themselves, without the multiplayer API.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const Raw := preload("res://support/raw.gd")
const RawTls := preload("res://support/raw_tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const SOCKETS := ["MioWebSocketPeer", "WebSocketPeer"]
const OPEN := WebSocketPeer.STATE_OPEN
const CLOSED := WebSocketPeer.STATE_CLOSED

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self, 40.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	_api()
	for secure: bool in [false, true]:
		_many(secure)
		_stop(secure)
	_protocols_and_headers()
	_late_clients(false)
	_late_clients(true)
	_settings_are_for_later_connections()
	_limits_of_one_connection()
	_gone_before_taken()
	_refused_requests()
	_life()
	t.finish()


func _api() -> void:
	t.expect_error("cannot bind to")
	t.expect_error("is not in the range")
	t.expect_error("handshake_timeout")
	t.expect_error("listen: the peer is active already")
	var server := _new()
	t.equal(
		"at rest",
		[server.is_listening(), server.get_local_port(), server.is_connection_available(), server.take_connection()],
		[false, 0, false, null]
	)
	t.equal(
		"defaults",
		[
			server.supported_protocols,
			server.handshake_headers,
			server.inbound_buffer_size,
			server.outbound_buffer_size,
			server.max_queued_packets,
			server.handshake_timeout
		],
		[PackedStringArray(), PackedStringArray(), 65535, 65535, 4096, 3.0]
	)
	for arguments: Array in [[0, "localhost"], [0, ""], [-1, "*"], [65536, "*"]]:
		t.equal("listen%s" % [arguments], server.callv("listen", arguments), ERR_INVALID_PARAMETER)
	server.handshake_timeout = 0.0
	t.equal("a time limit of nothing changes nothing", server.handshake_timeout, 3.0)
	t.equal("listen", [server.listen(0), server.is_listening(), server.get_local_port() > 0], [OK, true, true])
	t.equal("listen again", server.listen(0), ERR_ALREADY_IN_USE)
	var port: int = server.get_local_port()
	var second := _new()
	t.equal("a port that is taken", [second.listen(port), second.is_listening()], [ERR_ALREADY_IN_USE, false])
	server.stop()
	server.stop()
	t.equal("after stop()", [server.is_listening(), server.get_local_port()], [false, 0])
	t.equal("its port is free", second.listen(port), OK)
	second.stop()
	t.equal("and it listens again", server.listen(port), OK)


## Clients of both classes at once; each gets back what it sends.
func _many(secure: bool) -> void:
	const COUNT := 50
	var server := _listen(secure)
	var clients: Array[Object] = []
	for i in COUNT:
		clients.append(_dial(server, SOCKETS[i % 2], secure))
	var taken: Array[Object] = []
	var all_open := func() -> bool:
		while server.is_connection_available():
			taken.append(server.take_connection())
		return taken.size() == COUNT and clients.all(func(each: Object) -> bool: return each.get_ready_state() == OPEN)
	var title := "wss" if secure else "ws"
	t.check("%s: %d clients" % [title, COUNT], t.pump(clients, all_open, 8000), taken.size())
	var url := "%s://localhost:%d/path?query" % [title, server.get_local_port()]
	var knows := func(each: Object) -> bool:
		return (
			[each.get_class(), each.get_ready_state(), each.get_connected_host(), each.get_requested_url()]
			== ["MioWebSocketPeer", OPEN, "127.0.0.1", url]
			and each.get_connected_port() > 0
		)
	t.check("%s: what is taken knows its client" % title, taken.all(knows), taken[0].get_requested_url())
	for i in COUNT:
		clients[i].send_text("text é %d" % i)
		clients[i].send(PackedByteArray([i, 0, 255]))
		clients[i].send(t.bytes(60000, i))
	var echo := func() -> bool:
		for each in taken:
			while each.get_available_packet_count() > 0:
				var packet: PackedByteArray = each.get_packet()
				if each.was_string_packet():
					each.send_text(packet.get_string_from_utf8())
				else:
					each.send(packet)
		return clients.all(func(each: Object) -> bool: return each.get_available_packet_count() == 3)
	t.pump(clients + taken, echo, 8000)
	var right := 0
	for i in COUNT:
		var client := clients[i]
		if client.get_available_packet_count() != 3:
			continue
		var text: String = client.get_packet().get_string_from_utf8()
		var kinds := [client.was_string_packet()]
		var small: PackedByteArray = client.get_packet()
		kinds.append(client.was_string_packet())
		var large: PackedByteArray = client.get_packet()
		var all_right := text == "text é %d" % i and small == PackedByteArray([i, 0, 255]) and large == t.bytes(60000, i)
		right += int(all_right and kinds == [true, false])
	t.equal("%s: text and bytes come back" % title, right, COUNT)
	# The engine's class does not always get the code over TLS: the one that is closed is ours.
	clients[0].send_text("me")
	var found := func() -> Object:
		for each in taken:
			if each.get_available_packet_count() > 0:
				return each
		return null
	t.pump(clients + taken, func() -> bool: return found.call() != null)
	found.call().close(4001, "bye")
	clients[1].close(4002, "ciao")
	var two_closed := func() -> bool: return _count(clients, CLOSED) == 2 and _count(taken, CLOSED) == 2
	t.pump(clients + taken, two_closed)
	t.equal("%s: the code of the server's end" % title, clients.map(_ending).count([4001, "bye"]), 1)
	t.equal("%s: the code of a client's end" % title, taken.map(_ending).count([4002, "ciao"]), 1)
	t.equal(
		"%s: the others stay" % title,
		[_count(clients, OPEN), _count(taken, OPEN), _count(taken, CLOSED)],
		[COUNT - 2, COUNT - 2, 2]
	)
	server.stop()


## Connections that have been taken go on, those that wait are ended, new ones do not come.
func _stop(secure: bool) -> void:
	var title := "stop() with %s" % ("wss" if secure else "ws")
	var server := _listen(secure)
	var kept_client := _dial(server, SOCKETS[0], secure)
	var kept := _take(server, [kept_client])
	# The engine's class does not always get a code over TLS.
	var waiting := _dial(server, SOCKETS[0 if secure else 1], secure)
	t.pump([waiting, _poller(server)], func() -> bool: return waiting.get_ready_state() == OPEN)
	var half := Raw.dial(server.get_local_port())
	server.is_connection_available()
	var port: int = server.get_local_port()
	server.stop()
	t.equal("%s: nothing to take" % title, [server.is_connection_available(), server.take_connection()], [false, null])
	var gone := func() -> bool:
		half.poll()
		return waiting.get_ready_state() == CLOSED and not half.is_open()
	t.check("%s: those that waited are ended" % title, t.pump([waiting, kept, kept_client], gone, 2000), "they are not")
	t.equal("%s: with a code that says so" % title, waiting.get_close_code(), 1001)
	t.check("%s: the taken one goes on" % title, _echoes(kept, kept_client), "it does not")
	var late: Object = ClassDB.instantiate(SOCKETS[1])
	late.connect_to_url(_url(port, secure), TLSOptions.client_unsafe())
	t.check("%s: nobody joins" % title, t.pump([late, kept], func() -> bool: return late.get_ready_state() == CLOSED), "")
	server = null
	t.check("%s: also without the server" % title, _echoes(kept, kept_client), "it does not")
	kept.close(1000)
	t.pump([kept, kept_client], func() -> bool: return _count([kept, kept_client], CLOSED) == 2)
	t.equal("%s: and closes properly" % title, [kept_client.get_close_code(), kept.get_close_code()], [1000, 1000])


func _protocols_and_headers() -> void:
	var server := _new()
	server.supported_protocols = [" chat ", "game"]
	t.equal("white space around protocols goes", server.supported_protocols, PackedStringArray(["chat", "game"]))
	server.handshake_headers = ["X-Server: here"]
	server.listen(0, "127.0.0.1")
	var client: Object = ClassDB.instantiate(SOCKETS[0])
	client.supported_protocols = ["other", "game", "chat"]
	client.connect_to_url(_url(server.get_local_port(), false))
	var taken := _take(server, [client])
	t.equal(
		"the first protocol of the client that the server has",
		[client.get_selected_protocol(), taken.get_selected_protocol()],
		["game", "game"]
	)
	t.expect_error("answered with HTTP status 400")
	for protocols: Array in [[], ["other"]]:
		var refused: Object = ClassDB.instantiate(SOCKETS[0])
		refused.supported_protocols = protocols
		refused.connect_to_url(_url(server.get_local_port(), false))
		var poller := _poller(server)
		t.check(
			"protocols %s are refused" % [protocols],
			t.pump([refused, poller], func() -> bool: return refused.get_ready_state() == CLOSED),
			"they are not"
		)
		t.equal("and there is nothing to take", server.take_connection(), null)
	var raw := Raw.dial(server.get_local_port())
	raw.send_text(Raw.request(1, "Sec-WebSocket-Protocol: chat\r\n"))
	raw.read_head([_poller(server)])
	t.equal("its headers", raw.header("X-Server"), "here")
	t.expect_error("handshake_headers")
	server.handshake_headers = ["X: a\r\nY: b"]
	var headers: PackedStringArray = server.handshake_headers
	t.equal("a header that cannot be sent changes nothing", headers, PackedStringArray(["X-Server: here"]))
	server.stop()


## Those who do not get on with the upgrade are dropped in time, and hold up nobody.
func _late_clients(secure: bool) -> void:
	var server := _new()
	server.handshake_timeout = 0.4
	server.listen(0, "127.0.0.1", tls.server("good") if secure else null)
	var port: int = server.get_local_port()
	var late: Array[Raw] = []
	for i in 10:
		var raw: Raw = RawTls.dial_tls(port, [_poller(server)]) if secure and i < 5 else Raw.dial(port)
		if i % 2:
			raw.send_text("GET / HTTP/1.1\r\n" if not secure or i < 5 else "")
		late.append(raw)
	var client := _dial(server, SOCKETS[0], secure)
	var start := Time.get_ticks_msec()
	var taken := _take(server, [client])
	t.check(
		"another is taken meanwhile (%s)" % secure, taken != null and Time.get_ticks_msec() - start < 300, "it is not"
	)
	var all_closed := func() -> bool:
		for raw in late:
			raw.poll()
		return late.all(func(raw: Raw) -> bool: return not raw.is_open())
	t.check("late clients are dropped (%s)" % secure, t.pump([_poller(server)], all_closed, 1500), "they are not")
	t.check("the one that was in time stays (%s)" % secure, _echoes(taken, client), "it does not")
	# Its own limit does not count any more.
	t.equal("and nothing else is there to take (%s)" % secure, server.take_connection(), null)
	server.stop()


func _settings_are_for_later_connections() -> void:
	var server := _listen(false)
	var first_client := _dial(server, SOCKETS[0], false)
	var first := _take(server, [first_client])
	server.inbound_buffer_size = 100
	server.outbound_buffer_size = 50
	server.max_queued_packets = 7
	var second_client := _dial(server, SOCKETS[0], false)
	var second := _take(server, [second_client])
	t.equal(
		"limits of the earlier connection",
		[first.inbound_buffer_size, first.outbound_buffer_size, first.max_queued_packets],
		[65535, 65535, 4096]
	)
	t.equal(
		"limits of the later one",
		[second.inbound_buffer_size, second.outbound_buffer_size, second.max_queued_packets],
		[100, 50, 7]
	)
	t.expect_error("does not fit into the outbound queue")
	t.equal("they act on sending", [first.send(t.bytes(51)), second.send(t.bytes(51))], [OK, ERR_OUT_OF_MEMORY])
	first_client.send(t.bytes(101))
	second_client.send(t.bytes(101))
	t.pump(
		[first, second, first_client, second_client], func() -> bool: return second_client.get_ready_state() == CLOSED
	)
	t.equal(
		"and on receiving",
		[first.get_available_packet_count(), first.get_ready_state(), second_client.get_close_code()],
		[1, OPEN, 1009]
	)
	server.stop()


## What a connection does not take stays with its sender; its neighbours do not notice.
func _limits_of_one_connection() -> void:
	var server := _new()
	server.max_queued_packets = 5
	server.listen(0, "127.0.0.1")
	var lazy_client := _dial(server, SOCKETS[0], false)
	var lazy := _take(server, [lazy_client])
	var eager_client := _dial(server, SOCKETS[0], false)
	var eager := _take(server, [lazy_client, eager_client])
	for i in 20:
		lazy_client.send(PackedByteArray([i]))
	t.spin([lazy_client, lazy, eager], 30)
	t.equal("no more wait than max_queued_packets", lazy.get_available_packet_count(), 5)
	t.check("a neighbour goes on", _echoes(eager, eager_client), "it does not")
	var got := []
	var take_all := func() -> bool:
		while lazy.get_available_packet_count() > 0:
			got.append(lazy.get_packet()[0])
		return got.size() == 20
	t.pump([lazy, eager], take_all)
	t.equal("the rest comes when there is room, in order", got, range(20))
	server.stop()


## Clients that leave before they are taken are not in the way of others.
func _gone_before_taken() -> void:
	var server := _listen(false)
	var poller := _poller(server)
	var hasty := _dial(server, SOCKETS[0], false)
	t.pump([hasty, poller], func() -> bool: return hasty.get_ready_state() == OPEN)
	hasty.close(-1)
	var patient := _dial(server, SOCKETS[0], false)
	var taken: Array[Object] = []
	var both := func() -> bool:
		if server.is_connection_available():
			taken.append(server.take_connection())
		return patient.get_ready_state() == OPEN and not taken.is_empty() and taken.back().get_ready_state() == OPEN
	patient.poll()
	t.check("one that stays is taken", t.pump([patient] + taken, both), taken.size())
	t.check("and talks", _echoes(taken.back(), patient), "it does not")
	server.stop()


func _refused_requests() -> void:
	t.expect_error("upgrade refused with 405")
	var server := _listen(false)
	var counter := ErrorCounter.start()
	var raw := Raw.dial(server.get_local_port())
	raw.send_text("POST / HTTP/1.1\r\nHost: x\r\n\r\n")
	raw.read_head([_poller(server)])
	t.equal("a bad request is answered", raw.status(), 405)
	raw.wait_closed([_poller(server)])
	raw.tcp.disconnect_from_host()
	t.spin([_poller(server)], 20)
	counter.stop()
	t.equal("one line for it", counter.count, 1)
	t.equal("and nothing to take", [server.is_connection_available(), server.take_connection()], [false, null])
	server.stop()


## Objects let go while others use what they share.
func _life() -> void:
	var server := _listen(false)
	var clients: Array[Object] = []
	var taken: Array[Object] = []
	for i in 3:
		clients.append(_dial(server, SOCKETS[1], false))
		taken.append(_take(server, clients.duplicate()))
	taken[0] = null
	t.check(
		"a connection that nobody holds is ended",
		t.pump([clients[0], taken[1]], func() -> bool: return clients[0].get_ready_state() == CLOSED),
		"it is not"
	)
	t.equal("without a close frame", clients[0].get_close_code(), -1)
	# The last reference to the server goes without stop().
	server = null
	t.check("the others go on without their server", _echoes(taken[1], clients[1]), "they do not")
	taken[1].poll()
	taken[1] = null
	t.check("and without each other", _echoes(taken[2], clients[2]), "they do not")
	t.equal("a taken connection can be used again", taken[2].connect_to_url("ws://127.0.0.1:1"), ERR_ALREADY_IN_USE)
	taken[2].close(-1)
	var again := _listen(false)
	t.equal("once it is closed", taken[2].connect_to_url(_url(again.get_local_port(), false)), OK)
	var other := _take(again, [taken[2]])
	t.check("as a client", other != null and _echoes(other, taken[2]), "it cannot")
	t.expect_error("connect_to_url: the peer is active already")


## A server as something that can be polled.
func _poller(server: Object) -> RefCounted:
	return Poller.new(server)


class Poller:
	extends RefCounted
	var server: Object

	func _init(polled: Object) -> void:
		server = polled

	func poll() -> void:
		server.is_connection_available()


func _new() -> Object:
	return ClassDB.instantiate("MioWebSocketServer")


func _listen(secure: bool) -> Object:
	var server := _new()
	server.listen(0, "127.0.0.1", tls.server("good") if secure else null)
	return server


func _url(port: int, secure: bool) -> String:
	return "%s://localhost:%d/path?query" % ["wss" if secure else "ws", port]


func _dial(server: Object, client_class: String, secure: bool) -> Object:
	var client: Object = ClassDB.instantiate(client_class)
	var options := TLSOptions.client(tls.certificate("root")) if secure else null
	client.connect_to_url(_url(server.get_local_port(), secure), options)
	return client


## The next connection, when the last of `clients` is open.
func _take(server: Object, clients: Array) -> Object:
	var taken: Array[Object] = []
	var client: Object = clients.back()
	var done := func() -> bool:
		if taken.is_empty() and server.is_connection_available():
			taken.append(server.take_connection())
		return not taken.is_empty() and client.get_ready_state() == OPEN
	if not t.pump(clients, done):
		t.check("a connection is taken", false, "it is not")
		return null
	return taken[0]


func _echoes(one: Object, other: Object) -> bool:
	t.take(one)
	t.take(other)
	if one.send(PackedByteArray([1, 2])) != OK or other.send_text("three") != OK:
		return false
	var both := func() -> bool: return one.get_available_packet_count() == 1 and other.get_available_packet_count() == 1
	return (
		t.pump([one, other], both)
		and other.get_packet() == PackedByteArray([1, 2])
		and one.get_packet().get_string_from_utf8() == "three"
	)


func _ending(socket: Object) -> Array:
	return [socket.get_close_code(), socket.get_close_reason()]


func _count(sockets: Array, state: int) -> int:
	return sockets.filter(func(each: Object) -> bool: return each.get_ready_state() == state).size()
