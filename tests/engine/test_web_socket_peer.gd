extends SceneTree
## MioWebSocketPeer: as a view of a multiplayer peer's connection, on the engine's streams, and where the engine's own
## class falls short.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const OURS := "MioWebSocketPeer"
const BUILT_IN := "WebSocketPeer"
const OPEN := WebSocketPeer.STATE_OPEN
const CLOSING := WebSocketPeer.STATE_CLOSING
const CLOSED := WebSocketPeer.STATE_CLOSED

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self, 40.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	_view_is_one_object()
	_view_limits()
	for side: String in ["server", "client"]:
		for ending: String in ["close", "freed", "disconnect_peer", "disconnect_peer forced", "the other closes"]:
			_view_ends(side, ending)
	_view_closes()
	_heartbeat_of_a_view()
	for classes: Array in [[OURS, OURS], [OURS, BUILT_IN]]:
		for secure: bool in [false, true]:
			_engine_stream(classes, secure)
	_streams_that_end()
	for secure: bool in [false, true]:
		_long_reason(secure)
		_slow_polling(secure)
		_fragments(secure)
		_last_words(secure)
		_again_and_again(secure)
	_given_up_while_closing()
	_second_address()
	_failures_are_told()
	_errors_in_the_log()
	t.finish()


func _view_is_one_object() -> void:
	var net := t.connect_net(2)
	var id: int = net.ids[0]
	var view: Object = net.server.get_peer(id)
	t.spin(net.all, 10)
	t.check("get_peer gives the same object each time", view == net.server.get_peer(id), "another")
	t.check("another for another peer", view != net.server.get_peer(net.ids[1]), "the same")
	t.equal("its class", view.get_class(), OURS)
	var of_client: Object = net.clients[0].get_peer(1)
	t.equal(
		"states and addresses",
		[
			view.get_ready_state(),
			of_client.get_ready_state(),
			view.get_connected_port() == net.server.get_peer_port(id),
			of_client.get_connected_port() == net.port,
			of_client.get_requested_url()
		],
		[OPEN, OPEN, true, true, t.url(net.port)]
	)
	# What is sent through it goes to that peer, and what is read from it is not in the queue.
	view.send(PackedByteArray([1]))
	net.clients[1].put_packet(PackedByteArray([2]))
	net.clients[0].put_packet(PackedByteArray([3]))
	t.settle()
	view.poll()
	t.equal("a packet read from it", [view.get_available_packet_count(), view.get_packet()], [1, PackedByteArray([3])])
	t.spin(net.all, 20)
	t.equal("is not in the queue", t.take(net.server), [PackedByteArray([2])] as Array[PackedByteArray])
	t.equal("a packet sent by it", t.take(net.clients[0]), [PackedByteArray([1])] as Array[PackedByteArray])
	t.equal("reaches nobody else", net.clients[1].get_available_packet_count(), 0)
	t.close_net(net)


func _view_limits() -> void:
	t.expect_error("does not fit into the outbound queue")
	var net := t.connect_net(2)
	var view: Object = net.server.get_peer(net.ids[0])
	view.outbound_buffer_size = 100
	var codes := []
	for i in 2:
		net.server.set_target_peer(net.ids[i])
		codes.append(net.server.put_packet(t.bytes(101)))
	t.equal("outbound_buffer_size of a view acts, for its peer", codes, [ERR_OUT_OF_MEMORY, OK])
	t.equal("and on itself", [view.send(t.bytes(101)), view.send(t.bytes(100))], [ERR_OUT_OF_MEMORY, OK])
	view.outbound_buffer_size = 0
	view.max_queued_packets = 0
	t.equal("so does max_queued_packets", view.send(t.bytes(1)), ERR_OUT_OF_MEMORY)
	view.max_queued_packets = 10
	t.equal("and both can be lifted", view.send(t.bytes(200)), OK)
	t.equal("the multiplayer peer's own are as they were", net.server.outbound_buffer_size, 65535)
	t.close_net(net)


## Whoever holds the view of a connection that has ended holds a closed socket.
func _view_ends(side: String, ending: String) -> void:
	t.expect_error("the connection is not open")
	var net := t.connect_net(1)
	var peer: MultiplayerPeer = net.server if side == "server" else net.clients[0]
	var other: MultiplayerPeer = net.clients[0] if side == "server" else net.server
	var other_id: int = net.ids[0] if side == "server" else 1
	var view: Object = peer.get_peer(other_id)
	var of_other: Object = other.get_peer(1 if side == "server" else net.ids[0])
	match ending:
		"close":
			peer.close()
		"freed":
			net.all.erase(peer)
			net.clients.erase(peer)
			net.erase("server")
			peer = null
		"disconnect_peer":
			peer.disconnect_peer(other_id)
		"disconnect_peer forced":
			peer.disconnect_peer(other_id, true)
		"the other closes":
			other.close()
	if ending == "close" or ending == "freed" or ending == "disconnect_peer forced":
		t.equal(
			"a %s's view after %s" % [side, ending],
			[view.get_ready_state(), view.send(PackedByteArray([1]))],
			[CLOSED, FAILED]
		)
	var polled: Array = [other] if peer == null else [peer, other]
	var both_closed := func() -> bool: return view.get_ready_state() == CLOSED and of_other.get_ready_state() == CLOSED
	t.check(
		"both views of a connection are closed: %s, %s" % [side, ending], t.pump(polled, both_closed, 1500), "they are not"
	)
	t.equal("and take nothing", view.send(PackedByteArray([1])), FAILED)
	# It can be polled and asked all the same.
	view.poll()
	t.equal("or give anything", [view.get_available_packet_count(), view.get_current_outbound_buffered_amount()], [0, 0])
	t.retire(polled)


func _view_closes() -> void:
	var net := t.connect_net(1)
	var server_events := t.record(net.server)
	var client_events := t.record(net.clients[0])
	var of_client: Object = net.clients[0].get_peer(1)
	var view: Object = net.server.get_peer(net.ids[0])
	view.close(4007, "kicked")
	var both := func() -> bool: return server_events.size() == 1 and client_events.size() == 1
	t.check("closing a view disconnects its peer", t.pump(net.all, both, 1500), [server_events, client_events])
	t.equal("with its code", [of_client.get_close_code(), of_client.get_close_reason()], [4007, "kicked"])
	t.expect_error("no peer with the id")
	t.check("then there is no peer", net.server.get_peer(net.ids[0]) == null, "there is one")
	# A view is a socket and can be used as one afterwards.
	var server := t.new_server()
	server.create_server(0, "127.0.0.1")
	t.equal("a view can connect anew", view.connect_to_url(t.url(server.get_local_port())), OK)
	t.check("by itself", t.pump([view, server], func() -> bool: return view.get_ready_state() == OPEN), "it does not")
	view.close()
	t.close_net(net)
	t.retire([server])


## The multiplayer peer polls; the view is only held, or not even that.
func _heartbeat_of_a_view() -> void:
	for answers: bool in [true, false]:
		var server := t.new_server()
		server.create_server(0, "127.0.0.1")
		var events := t.record(server)
		var raw := Raw.join(server.get_local_port(), [server])
		t.pump([server], func() -> bool: return events.size() == 1)
		var id := events[0].to_int()
		server.get_peer(id).heartbeat_interval = 0.1
		t.equal("heartbeat_interval is kept", server.get_peer(id).heartbeat_interval, 0.1)
		var pings := [0]
		var answer := func() -> bool:
			raw.poll()
			var frame := raw.next_frame()
			while not frame.is_empty():
				if frame.op == Raw.PING:
					pings[0] += 1
					if answers:
						raw.send_frame(Raw.PONG, frame.payload)
				frame = raw.next_frame()
			return events.size() == 2
		var ended := t.pump([server], answer, 450)
		t.equal(
			"heartbeat of a view, answered %s: ended, more than one ping" % answers,
			[ended, pings[0] > 1],
			[not answers, answers]
		)
		t.retire([server])


## accept_stream, with messages that the stream takes and gives only in parts.
func _engine_stream(classes: Array, secure: bool) -> void:
	const COUNT := 30
	var pair := _pair(classes[0], classes[1], secure)
	var title := "%s on %s, %s" % [classes[0], "TLS" if secure else "TCP", classes[1]]
	var url := "%s://localhost:%d/path?query" % ["wss" if secure else "ws", pair.port]
	t.equal("%s: url" % title, pair.server.get_requested_url(), url)
	t.equal("%s: address" % title, pair.server.get_connected_host(), "127.0.0.1")
	pair.server.set_no_delay(true)
	pair.client.send_text("é")
	pair.client.put_var({"a": 1})
	t.pump([pair.server, pair.client], func() -> bool: return pair.server.get_available_packet_count() == 2)
	t.equal(
		"%s: text and variant" % title,
		[pair.server.get_packet().get_string_from_utf8(), pair.server.was_string_packet(), pair.server.get_var()],
		["é", true, {"a": 1}]
	)
	var ends: Array[Object] = [pair.server, pair.client]
	var sent := [0, 0]
	var got := [0, 0]
	var right := [true, true]
	var step := func() -> bool:
		for i in 2:
			# Several at once, so that writes stop halfway.
			while sent[i] < COUNT and sent[i] - got[1 - i] < 10 and ends[i].send(t.numbered(sent[i], 60000)) == OK:
				sent[i] += 1
			while ends[i].get_available_packet_count() > 0:
				var packet: PackedByteArray = ends[i].get_packet()
				right[i] = right[i] and packet.size() == 60000 and packet.decode_u32(0) == got[i]
				got[i] += 1
		return got == [COUNT, COUNT]
	t.pump(ends, step, 5000)
	t.equal("%s: much data both ways" % title, [got, right], [[COUNT, COUNT], [true, true]])
	pair.client.close(4003, "done")
	t.pump(ends, func() -> bool: return _count(ends, CLOSED) == 2, 1500)
	t.equal("%s: end" % title, [_count(ends, CLOSED), pair.server.get_close_code()], [2, 4003])


## What becomes of a socket when its stream ends, at any time.
func _streams_that_end() -> void:
	for secure: bool in [false, true]:
		for when: String in ["before anything", "before the request", "open"]:
			var listener := TCPServer.new()
			listener.listen(0, "127.0.0.1")
			var far := StreamPeerTCP.new()
			far.connect_to_host("127.0.0.1", listener.get_local_port())
			t.pump([far], listener.is_connection_available)
			var socket: Object = ClassDB.instantiate(OURS)
			var stream: StreamPeer = listener.take_connection()
			var other: Object = null
			if secure:
				var secured := StreamPeerTLS.new()
				secured.accept_stream(stream, tls.server("good"))
				stream = secured
			t.equal("accept_stream (%s, %s)" % [when, secure], socket.accept_stream(stream), OK)
			stream = null
			if when != "before anything":
				t.spin([socket, far], 5)
			if when == "open":
				# Another one: this far end has not spoken.
				far.disconnect_from_host()
				var pair := _pair(OURS, OURS, secure)
				socket = pair.server
				other = pair.client
				other.close(-1)
			far.disconnect_from_host()
			t.check(
				"a stream that ends %s closes its socket (TLS %s)" % [when, secure],
				t.pump([socket], func() -> bool: return socket.get_ready_state() == CLOSED, 1500),
				"it does not"
			)
			t.equal("without a code", socket.get_close_code(), -1)
	var idle: Object = ClassDB.instantiate(OURS)
	t.expect_error("accept_stream: neither a StreamPeerTCP")
	t.equal("a stream of another kind", idle.accept_stream(StreamPeerBuffer.new()), ERR_INVALID_PARAMETER)
	t.expect_error("accept_stream: no stream")
	t.equal("no stream", idle.accept_stream(null), ERR_INVALID_PARAMETER)


## A logger may use the object whose error it is told, and is not flooded.
func _errors_in_the_log() -> void:
	var socket: Object = ClassDB.instantiate(OURS)
	var logger := Meddler.new()
	logger.socket = socket
	OS.add_logger(logger)
	t.expect_error("accept_stream: no stream")
	socket.accept_stream(null)
	OS.remove_logger(logger)
	logger.socket = null
	t.equal("a logger can use the socket", socket.get("heartbeat_interval"), 1.5)
	t.expect_error("send: ")
	var counter := ErrorCounter.start()
	for i in 200:
		socket.send(PackedByteArray([1]))
	counter.stop()
	t.check("errors of calls are few", counter.count > 0 and counter.count < 100, counter.count)


class Meddler extends Logger:
	var socket: Object

	func _log_error(_function: String, _file: String, _line: int, _code: String, _rationale: String, _notify: bool, _type: int, _backtraces: Array[ScriptBacktrace]) -> void:
		socket.set("heartbeat_interval", 1.5)


func _long_reason(secure: bool) -> void:
	for case: Array in [
		["r".repeat(124), "r".repeat(123)],
		["r".repeat(5000), "r".repeat(123)],
		["é".repeat(100), "é".repeat(61)],
		["r" + "é".repeat(100), "r" + "é".repeat(61)],
		["a" + "\u20ac".repeat(60), "a" + "\u20ac".repeat(40)],
	]:
		var pair := _pair(OURS, BUILT_IN if not secure else OURS, secure)
		# Over TLS the engine's own streams are in the way of the closing side, so the server's end is the other.
		var closer: Object = pair.client if secure else pair.server
		var other: Object = pair.server if secure else pair.client
		closer.close(4001, case[0])
		t.pump([closer, other], func() -> bool: return _count([closer, other], CLOSED) == 2, 1500)
		t.equal(
			"a reason of %d bytes arrives cut (TLS %s)" % [case[0].to_utf8_buffer().size(), secure],
			[other.get_close_code(), other.get_close_reason(), closer.get_close_code()],
			[4001, case[1], 4001]
		)


## An answer that is there when the owner polls at last counts.
func _slow_polling(secure: bool) -> void:
	for end: String in ["client", "server"]:
		var pair := _pair(OURS, OURS, secure)
		pair[end].heartbeat_interval = 0.03
		t.spin([pair.client, pair.server], 5)
		for i in 5:
			t.settle(50)
			pair["server" if end == "client" else "client"].poll()
			t.settle(5)
			pair[end].poll()
		t.equal("a heartbeat of a %s that polls slowly (TLS %s)" % [end, secure], pair[end].get_ready_state(), OPEN)


## Fragments that are too much together end the connection; a message that is cut in two does not.
func _fragments(secure: bool) -> void:
	if secure:
		return
	for role: String in ["server", "client"]:
		var listener := TCPServer.new()
		listener.listen(0, "127.0.0.1")
		var socket: Object = ClassDB.instantiate(OURS)
		socket.inbound_buffer_size = 1000
		var raw: Raw
		if role == "server":
			raw = Raw.dial(listener.get_local_port())
			t.pump([], listener.is_connection_available)
			socket.accept_stream(listener.take_connection())
			raw.send_text(Raw.request(listener.get_local_port()))
			raw.read_head([socket])
		else:
			socket.connect_to_url(t.url(listener.get_local_port()))
			raw = Raw.serve(listener, [socket], 0)
			t.pump([socket], func() -> bool: return socket.get_ready_state() == OPEN)
		raw.send_frame(Raw.TEXT, t.bytes(0) + "a".repeat(500).to_utf8_buffer(), false)
		raw.send_frame(0, "b".repeat(500).to_utf8_buffer(), true)
		t.pump([socket], func() -> bool: return socket.get_available_packet_count() == 1)
		t.equal("as much as fits (%s)" % role, [socket.get_packet().size(), socket.was_string_packet()], [1000, true])
		raw.send_frame(Raw.BINARY, t.bytes(600), false)
		raw.send_frame(0, t.bytes(600), false)
		t.equal("more than fits (%s)" % role, raw.read_close([socket]), 1009)
		raw.send_frame(Raw.CLOSE, PackedByteArray([0x03, 0xf1]))
		t.check(
			"ends the socket (%s)" % role, t.pump([socket], func() -> bool: return socket.get_ready_state() == CLOSED), ""
		)


## What was sent before close() arrives before it.
func _last_words(secure: bool) -> void:
	for end: String in ["client", "server"]:
		var pair := _pair(OURS, OURS, secure)
		var other: Object = pair["server" if end == "client" else "client"]
		var accepted := 0
		for i in 10:
			accepted += int(pair[end].send(t.numbered(i, 6000)) == OK)
		pair[end].close(4004, "last")
		var got := [0]
		var take := func() -> bool:
			got[0] += t.take(other).size()
			return _count([pair.client, pair.server], CLOSED) == 2
		t.pump([pair.client, pair.server], take, 2000)
		t.equal(
			"messages before a close by the %s (TLS %s)" % [end, secure], [got[0], other.get_close_code()], [accepted, 4004]
		)


func _again_and_again(secure: bool) -> void:
	var server := t.new_server()
	server.create_server(0, "127.0.0.1", tls.server("good") if secure else null)
	var socket: Object = ClassDB.instantiate(OURS)
	var url := "%s://localhost:%d" % ["wss" if secure else "ws", server.get_local_port()]
	var options := TLSOptions.client(tls.certificate("root")) if secure else null
	var opened := 0
	for i in 20:
		if socket.connect_to_url(url, options) != OK:
			break
		opened += int(t.pump([server, socket], func() -> bool: return socket.get_available_packet_count() == 1))
		var id: int = socket.get_packet().decode_s32(0)
		match i % 3:
			0:
				socket.close()
				t.pump([server, socket], func() -> bool: return socket.get_ready_state() == CLOSED)
			1:
				socket.close(-1)
			2:
				server.disconnect_peer(id)
				t.pump([server, socket], func() -> bool: return socket.get_ready_state() == CLOSED)
	t.equal("one object connects again and again (TLS %s)" % secure, opened, 20)
	t.spin([server], 10)
	socket.close(-1)
	t.retire([server])


func _given_up_while_closing() -> void:
	var pair := _pair(OURS, OURS, false)
	pair.client.close()
	t.equal("a socket that waits for an answer", pair.client.get_ready_state(), CLOSING)
	var server := t.new_server()
	server.create_server(0, "127.0.0.1")
	t.equal("connects elsewhere", pair.client.connect_to_url(t.url(server.get_local_port())), OK)
	t.equal("with nothing of the old", [pair.client.get_close_code(), pair.client.get_available_packet_count()], [-1, 0])
	t.check(
		"at once", t.pump([server, pair.client], func() -> bool: return pair.client.get_ready_state() == OPEN), "it does not"
	)
	t.check(
		"and the old connection ends",
		t.pump([pair.server], func() -> bool: return pair.server.get_ready_state() == CLOSED),
		"it does not"
	)
	t.retire([server])


## A name whose first address nobody listens on.
func _second_address() -> void:
	for address: String in ["127.0.0.1", "::1"]:
		var listener := TCPServer.new()
		if not IP.resolve_hostname_addresses("localhost").has("0:0:0:0:0:0:0:1" if address == "::1" else address):
			print("localhost has no %s here" % address)
			continue
		if listener.listen(0, address) != OK:
			continue
		var socket: Object = ClassDB.instantiate(OURS)
		socket.connect_to_url("ws://localhost:%d" % listener.get_local_port())
		var raw := Raw.accept(listener, [socket])
		if t.check("a name finds the address that answers, %s" % address, raw != null, "it does not"):
			raw.read_head([socket])
			raw.send_text(Raw.answer(raw.header("Sec-WebSocket-Key")))
			t.check("and opens", t.pump([socket], func() -> bool: return socket.get_ready_state() == OPEN), "it does not")
		socket.close(-1)


## As the engine's own class, it says why TLS or an upgrade failed.
func _failures_are_told() -> void:
	for case: Array in [
		["wrong_name", "name mismatch"], ["unknown", "unknown issuer"], ["expired", "expired"], ["future", "not valid yet"]
	]:
		var server := t.new_server()
		server.create_server(0, "127.0.0.1", tls.server(case[0]))
		var socket: Object = ClassDB.instantiate(OURS)
		var counter := ErrorCounter.start()
		socket.connect_to_url(tls.url(server.get_local_port(), "localhost"), TLSOptions.client(tls.certificate("root")))
		t.pump([server, socket], func() -> bool: return socket.get_ready_state() == CLOSED, 1500)
		# The server says something, too.
		t.spin([server], 10)
		counter.stop()
		var lines := Array(counter.lines).filter(func(line: String) -> bool: return line.contains(case[1]))
		t.equal("a socket says that it failed: %s" % case[1], [socket.get_ready_state(), lines.size()], [CLOSED, 1])
		t.expect_error(case[1])
		t.retire([server])
	t.expect_error("our certificate")
	t.expect_error("know the issuer")
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var socket: Object = ClassDB.instantiate(OURS)
	socket.connect_to_url(t.url(listener.get_local_port()))
	var raw := Raw.accept(listener, [socket])
	raw.read_head([socket])
	var counter := ErrorCounter.start()
	raw.send_text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nA: b\r\n\r\n")
	t.pump([socket], func() -> bool: return socket.get_ready_state() == CLOSED)
	counter.stop()
	t.equal("a socket says that its upgrade failed", [socket.get_ready_state(), counter.count], [CLOSED, 1])
	t.expect_error("answer cannot be used")


## Two ends of a WebSocket over the engine's streams: {server, client, port}.
func _pair(server_class: String, client_class: String, secure: bool) -> Dictionary:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var port := listener.get_local_port()
	var pair := {"server": ClassDB.instantiate(server_class), "client": ClassDB.instantiate(client_class), "port": port}
	pair.client.connect_to_url(
		"%s://localhost:%d/path?query" % ["wss" if secure else "ws", port],
		TLSOptions.client(tls.certificate("root")) if secure else null
	)
	t.pump([pair.client], listener.is_connection_available)
	var stream: StreamPeer = listener.take_connection()
	if secure:
		var secured := StreamPeerTLS.new()
		secured.accept_stream(stream, tls.server("good"))
		stream = secured
	pair.server.accept_stream(stream)
	if not t.pump([pair.server, pair.client], func() -> bool: return _count([pair.server, pair.client], OPEN) == 2):
		t.check("%s opens to %s" % [client_class, server_class], false, "it does not")
	return pair


func _count(sockets: Array, state: int) -> int:
	return sockets.filter(func(each: Object) -> bool: return each.get_ready_state() == state).size()
