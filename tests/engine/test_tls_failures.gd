extends SceneTree
# timeout: 90
## Sessions over TLS that go wrong, by mistake or on purpose: who notices, what is said, and that nobody else suffers.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const Raw := preload("res://support/raw.gd")
const RawTls := preload("res://support/raw_tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

## The start of a client's first message.
const HELLO := [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self, 80.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	_http_on_a_tls_port()
	_mixed_up_ports()
	_refusals_are_said_once()
	_garbage_in_a_session()
	_cut_handshakes()
	_silent_clients()
	_many_at_once()
	for to: String in ["server", "client"]:
		for ending: String in ["close frame", "close_notify", "FIN", "garbage"]:
			_data_and_end(to, ending)
	_close_codes()
	_overflow()
	_limits()
	_requests()
	_client_without_id()
	t.finish()


func _http_on_a_tls_port() -> void:
	t.expect_error("plain HTTP on a TLS port")
	var server := _serve()
	var raw := Raw.dial(server.get_local_port(), [server])
	var counter := ErrorCounter.start()
	raw.send_text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	t.check("plain HTTP on a TLS port is ended at once", raw.wait_closed([server], 1000), "it is not")
	_one_line("plain HTTP on a TLS port", counter, ["tls handshake", "plain HTTP on a TLS port", "127.0.0.1:"])
	t.retire([server])


## Server and client disagree about TLS.
func _mixed_up_ports() -> void:
	t.expect_error("TLS handshake error")
	t.expect_error("does the server")
	t.expect_error("this is TLS")
	for classes: Array in [
		[t.server_class, t.client_class], [t.server_class, Harness.BUILT_IN], [Harness.BUILT_IN, t.client_class]
	]:
		for server_has_tls: bool in [true, false]:
			var server: MultiplayerPeer = ClassDB.instantiate(classes[0])
			var client: MultiplayerPeer = ClassDB.instantiate(classes[1])
			server.handshake_timeout = 0.5
			client.handshake_timeout = 2.0
			var port := t.free_port()
			server.create_server(port, "127.0.0.1", tls.server("good") if server_has_tls else null)
			var counter := ErrorCounter.start()
			client.create_client(
				("ws://localhost:%d" if server_has_tls else "wss://localhost:%d") % port, TLSOptions.client_unsafe()
			)
			var ended := t.pump(
				[server, client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED, 1500
			)
			t.spin([server, client], 5)
			var what := "%s (%s to %s)" % ["ws to TLS" if server_has_tls else "wss to plain", classes[1], classes[0]]
			t.check("%s ends before any time limit of the client" % what, ended, "it does not")
			counter.stop()
			var lines := Tls.own_lines(counter.lines)
			var about_tls := func(line: String) -> bool: return line.to_lower().contains("tls") or line.contains("wss")
			t.check(
				"%s: each of ours says so once, and that it is about TLS" % what,
				lines.size() == classes.count(t.peer_class) and Array(lines).all(about_tls),
				lines
			)
			t.retire([client, server])


func _refusals_are_said_once() -> void:
	t.expect_error("upgrade refused")
	for secure: bool in [false, true]:
		var server := _serve() if secure else t.new_server()
		if not secure:
			server.create_server(0, "127.0.0.1")
		var port: int = server.get_local_port()
		var raw: Raw = RawTls.dial_tls(port, [server]) if secure else Raw.dial(port, [server])
		var counter := ErrorCounter.start()
		raw.send_text("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		raw.read_head([server])
		t.equal("the answer to a bad request%s" % (" over TLS" if secure else ""), raw.status(), 405)
		raw.wait_closed([server])
		raw.tcp.disconnect_from_host()
		t.spin([server], 20)
		_one_line("a refusal%s" % (" over TLS" if secure else ""), counter, ["upgrade refused with 405"])
		t.retire([server])


## Bytes that are no TLS, after the handshake.
func _garbage_in_a_session() -> void:
	t.expect_error("tls session failed")
	var server := _serve()
	var port: int = server.get_local_port()
	var events := t.record(server)
	var friend := _join(server)
	var raw := RawTls.join_tls(port, [server, friend])
	t.equal("a raw client joins", events.size(), 2)
	var counter := ErrorCounter.start()
	raw.tcp.put_data("this is not what TLS looks like".to_utf8_buffer())
	t.check("garbage ends a session", t.pump([server, friend], func() -> bool: return events.size() == 3, 1000), events)
	counter.stop()
	var lines := Tls.own_lines(counter.lines)
	t.check(
		"garbage in a session: at most one line, and not about its handshake",
		lines.size() <= 1 and not "".join(lines).contains("handshake"),
		lines
	)
	t.check("the others play on", _round_trip(server, friend) > 0, "they do not")
	t.retire([friend, server])


func _cut_handshakes() -> void:
	var server := _serve()
	var port: int = server.get_local_port()
	var events := t.record(server)
	var counter := ErrorCounter.start()
	var cut := 0
	for ending: String in ["FIN", "FIN at once", "half an alert", "after the server's part"]:
		var raw := Raw.dial(port, [server])
		raw.send(PackedByteArray(HELLO if ending != "half an alert" else [21, 3, 1]))
		if ending == "FIN":
			t.spin([server], 10)
		if ending == "after the server's part":
			var client := StreamPeerTLS.new()
			client.connect_to_stream(raw.tcp, "localhost", TLSOptions.client_unsafe())
			# The server has answered the hello and waits for the rest.
			for i in 3:
				server.poll()
				t.settle(2)
		raw.tcp.disconnect_from_host()
		cut += 1
	t.spin([server], 30)
	counter.stop()
	var friend := _join(server)
	t.equal("handshakes that are cut: signals", events, ["+%d" % friend.get_unique_id()] as Array[String])
	t.check("handshakes that are cut: no more lines than them", counter.count <= cut, counter.lines)
	t.retire([friend, server])


## Clients that connect and say nothing, or the start of something, while another plays.
func _silent_clients() -> void:
	var server := _serve()
	server.handshake_timeout = 1.0
	var port: int = server.get_local_port()
	var early := _join(server)
	var alone := _round_trip(server, early)
	var silent: Array[Raw] = []
	for i in 30:
		var raw := Raw.dial(port, [server])
		if i % 2:
			raw.send(PackedByteArray(HELLO))
		silent.append(raw)
	var start := Time.get_ticks_msec()
	var late := _join(server)
	var joined := Time.get_ticks_msec() - start
	t.check("a client joins beside silent ones", late.get_connection_status() == Harness.CONNECTED, "it does not")
	var worst := 0
	while Time.get_ticks_msec() - start < 900:
		worst = maxi(worst, maxi(_round_trip(server, early), _round_trip(server, late)))
	print("round trip in polls: %d alone, at most %d beside silent clients; joined in %d ms" % [alone, worst, joined])
	# A poll of each side per step: the packet may be on its way for some.
	t.check("others play beside silent ones", worst > 0 and worst <= alone + 200, worst)
	var all_closed := func() -> bool:
		for raw in silent:
			raw.poll()
		return silent.all(func(raw: Raw) -> bool: return not raw.is_open())
	t.check("silent clients are dropped after handshake_timeout", t.pump([server], all_closed, 2000), "they are not")
	t.retire([early, late, server])


func _many_at_once() -> void:
	const COUNT := 200
	var server := _serve()
	var port: int = server.get_local_port()
	var joined := [0, 0]
	server.peer_connected.connect(func(_id: int) -> void: joined[0] += 1)
	var clients: Array[MultiplayerPeer] = []
	for i in COUNT:
		var client := t.new_client()
		# What is slow here is that everybody is in one process.
		client.handshake_timeout = 20.0
		client.create_client(tls.url(port), TLSOptions.client(tls.resource("root")))
		clients.append(client)
	server.handshake_timeout = 20.0
	var longest := 0
	var polls := 0
	var most := 0
	var end := Time.get_ticks_msec() + 20000
	while joined[0] < COUNT and Time.get_ticks_msec() < end:
		var before: int = joined[0]
		var start := Time.get_ticks_usec()
		server.poll()
		longest = maxi(longest, Time.get_ticks_usec() - start)
		polls += 1
		most = maxi(most, joined[0] - before)
		for client in clients:
			client.poll()
	t.equal("clients over TLS that came at once", joined[0], COUNT)
	var is_in := func(each: MultiplayerPeer) -> bool: return each.get_connection_status() == Harness.CONNECTED
	t.pump(clients, func() -> bool: return clients.all(is_in))
	print("%d joined in %d polls; longest %.1f ms, at most %d in one" % [COUNT, polls, longest / 1000.0, most])
	server.set_target_peer(0)
	server.put_packet(t.bytes(100))
	var got := func() -> bool:
		return clients.all(func(each: MultiplayerPeer) -> bool: return each.get_available_packet_count() == 1)
	t.check("a broadcast reaches them all", t.pump([server] + clients, got), "it does not")
	t.retire(clients + [server])


## What was sent before the end arrives, the end with the next poll.
func _data_and_end(to: String, ending: String) -> void:
	var peer: MultiplayerPeer
	var raw: RawTls
	var events: Array[String]
	if to == "server":
		peer = _serve()
		events = t.record(peer)
		raw = RawTls.join_tls(peer.get_local_port(), [peer])
	else:
		var listener := TCPServer.new()
		listener.listen(0, "127.0.0.1")
		peer = t.new_client()
		events = t.record(peer)
		peer.create_client(tls.url(listener.get_local_port(), "localhost"), TLSOptions.client_unsafe())
		raw = RawTls.serve_tls(listener, tls.server("good"), [peer])
		t.pump([peer], func() -> bool: return peer.get_connection_status() == Harness.CONNECTED)
	var data := raw.make(Raw.BINARY, t.bytes(9)) + raw.make(Raw.BINARY, t.bytes(20000))
	if ending == "close frame":
		data += raw.make(Raw.CLOSE, PackedByteArray([0x03, 0xe8]))
	raw.send(data)
	match ending:
		"close_notify":
			raw.tls.disconnect_from_stream()
			raw.tcp.disconnect_from_host()
		"FIN":
			raw.tcp.disconnect_from_host()
		"garbage":
			raw.tcp.put_data(t.bytes(100))
	t.settle()
	peer.poll()
	var first := [t.take(peer), events.size()]
	peer.poll()
	# Garbage is found out by itself; what came before it counts.
	var sizes: Array = first[0].map(func(packet: PackedByteArray) -> int: return packet.size())
	t.equal("data and %s at once to a %s" % [ending, to], [sizes, first[1], events.size()], [[9, 20000], 1, 2])
	t.retire([peer])


## After one's own close the code is there, as without TLS, whoever is on the other side.
func _close_codes() -> void:
	var ours := "MioWebSocketPeer"
	for classes: Array in [[ours, ours], ["WebSocketPeer", ours], [ours, "WebSocketPeer"]]:
		for closer: String in ["client", "server"]:
			for code: Array in [[4001, "bye"], [1000, ""]]:
				var pair := _socket_pair(classes[0], classes[1])
				var closes: Object = pair[closer]
				var other: Object = pair["server" if closer == "client" else "client"]
				closes.close(code[0], code[1])
				var both := func() -> bool:
					return (
						pair.server.get_ready_state() == WebSocketPeer.STATE_CLOSED
						and pair.client.get_ready_state() == WebSocketPeer.STATE_CLOSED
					)
				t.pump([pair.server, pair.client], both, 1500)
				var what := "close %s by the %s (%s to %s)" % [code[0], closer, classes[1], classes[0]]
				# The engine's own class loses it: only ours are looked at.
				if closes.get_class() == ours:
					t.equal("%s: its own code" % what, [closes.get_close_code(), closes.get_close_reason()], code)
				if other.get_class() == ours:
					t.equal("%s: the other's code" % what, [other.get_close_code(), other.get_close_reason()], code)


## A client that does not read: put_packet tells what is dropped, and what is not arrives.
func _overflow() -> void:
	t.expect_error("does not fit into the outbound queue")
	var server := _serve()
	var raw := RawTls.join_tls(server.get_local_port(), [server])
	var accepted := 0
	var refused := 0
	for i in 3000:
		if server.put_packet(t.numbered(accepted, 4000)) == OK:
			accepted += 1
		else:
			refused += 1
		if i % 50 == 0:
			server.poll()
	t.check("some do not fit", refused > 0 and accepted > 10, [accepted, refused])
	var got := 0
	var in_order := true
	while got < accepted:
		var frame := raw.read_frame([server], 3000)
		if frame.is_empty():
			break
		in_order = in_order and frame.op == Raw.BINARY and frame.payload.decode_u32(0) == got
		got += 1
	t.equal("what fitted arrives, in order", [got, in_order], [accepted, true])
	server.put_packet(t.bytes(5))
	t.equal("and so does what is sent then", raw.read_frame([server]).get("payload"), t.bytes(5))
	t.retire([server])


func _limits() -> void:
	var server := _serve()
	var events := t.record(server)
	var raw := RawTls.join_tls(server.get_local_port(), [server])
	raw.send_frame(Raw.BINARY, t.bytes(40000), false)
	raw.send_frame(0, t.bytes(40000), true)
	t.equal("fragments that are too much together", raw.read_close([server]), 1009)
	t.check("end the connection", t.pump([server], func() -> bool: return events.size() == 2), events)
	raw = RawTls.join_tls(server.get_local_port(), [server])
	raw.send(
		raw.make(Raw.BINARY, "abc".to_utf8_buffer(), false)
		+ raw.make(Raw.PING, "PP".to_utf8_buffer())
		+ raw.make(0, "def".to_utf8_buffer())
	)
	t.equal("a ping between fragments is answered", raw.read_frame([server]).get("op"), Raw.PONG)
	t.equal("and not mixed in", t.take(server), [PackedByteArray("abcdef".to_utf8_buffer())] as Array[PackedByteArray])
	var many := PackedByteArray()
	for i in 3000:
		many += raw.make(Raw.BINARY)
	raw.send(many + raw.make(Raw.BINARY, t.bytes(3)))
	t.settle()
	var polls := 0
	while server.get_available_packet_count() == 0 and polls < 20:
		server.poll()
		polls += 1
	t.check("empty messages cost no polls", polls <= 3, polls)
	t.take(server)
	# More than inbound_buffer_size, in one poll.
	var large := raw.make(Raw.BINARY, t.bytes(30000))
	raw.send(large + large + large)
	t.settle()
	server.poll()
	t.equal("one poll takes more than one buffer", t.take(server).size(), 3)
	t.retire([server])


## The rules for requests are those without TLS.
func _requests() -> void:
	for case: Array in [
		["GET /\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 400],
		[Raw.request(1).replace("Upgrade: websocket", "Upgrade: foo, websocket"), 101],
		[Raw.request(1).replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"), 101],
		[Raw.request(1).replace("Version: 13", "Version: 8"), 426],
		[Raw.request(1).replace("Connection: Upgrade", "Connection: close"), 400],
		[Raw.request(1, "X: " + "a".repeat(20000) + "\r\n"), 431],
	]:
		var server := _serve()
		var raw := RawTls.dial_tls(server.get_local_port(), [server])
		raw.send_text(case[0])
		raw.read_head([server])
		t.equal("the answer to %s…" % case[0].left(80).c_escape(), raw.status(), case[1])
		t.retire([server])
	var server := _serve()
	var client := _join(server)
	var url: String = server.get_peer(client.get_unique_id()).call(&"get_requested_url")
	t.equal("a server's connection knows that it is secure", url, "wss://localhost:%d/" % server.get_local_port())
	t.retire([client, server])


func _client_without_id() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	for stage: String in ["no handshake", "no answer", "no id"]:
		var client := t.new_client()
		client.handshake_timeout = 0.3
		client.create_client(tls.url(listener.get_local_port()), TLSOptions.client_unsafe())
		var start := Time.get_ticks_msec()
		var raw := RawTls.new()
		raw.tcp = Raw.accept(listener, [client]).tcp
		if stage != "no handshake":
			raw.tls.accept_stream(raw.tcp, tls.server("good"))
			raw.wait([client], raw.is_open)
			raw.read_head([client])
		if stage == "no id":
			raw.send_text(Raw.answer(raw.header("Sec-WebSocket-Key")))
		t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED, 2000)
		var took := Time.get_ticks_msec() - start
		t.check("%s: given up after handshake_timeout" % stage, took >= 250 and took < 1500, took)


func _serve() -> MultiplayerPeer:
	var server := t.new_server()
	server.create_server(0, "127.0.0.1", tls.server("good"))
	return server


func _join(server: MultiplayerPeer) -> MultiplayerPeer:
	var client := t.new_client()
	var joined := [false]
	server.peer_connected.connect(func(_id: int) -> void: joined[0] = true, CONNECT_ONE_SHOT)
	client.create_client(tls.url(server.get_local_port(), "localhost"), TLSOptions.client_unsafe())
	t.pump(
		[server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED and joined[0]
	)
	return client


## Polls of both sides until a packet has gone there and another back; 0 if they do not arrive.
func _round_trip(server: MultiplayerPeer, client: MultiplayerPeer) -> int:
	t.take(server)
	t.take(client)
	client.put_packet(t.bytes(4))
	server.set_target_peer(client.get_unique_id())
	server.put_packet(t.bytes(4))
	for polls in range(1, 2000):
		server.poll()
		client.poll()
		if server.get_available_packet_count() > 0 and client.get_available_packet_count() > 0:
			return polls
		OS.delay_usec(100)
	return 0


## Two ends of a WebSocket over TLS: {server, client}.
func _socket_pair(server_class: String, client_class: String) -> Dictionary:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var pair := {"server": ClassDB.instantiate(server_class), "client": ClassDB.instantiate(client_class)}
	pair.client.connect_to_url(
		tls.url(listener.get_local_port(), "localhost"), TLSOptions.client(tls.certificate("root"))
	)
	t.pump([pair.client], listener.is_connection_available)
	var stream := StreamPeerTLS.new()
	stream.accept_stream(listener.take_connection(), tls.server("good"))
	pair.server.accept_stream(stream)
	var both := func() -> bool:
		return (
			pair.server.get_ready_state() == WebSocketPeer.STATE_OPEN
			and pair.client.get_ready_state() == WebSocketPeer.STATE_OPEN
		)
	if not t.pump([pair.server, pair.client], both):
		t.check("%s opens to %s" % [client_class, server_class], false, "it does not")
	return pair


func _one_line(title: String, counter: ErrorCounter, words: Array) -> void:
	counter.stop()
	var lines := Tls.own_lines(counter.lines)
	var has := func(word: String) -> bool: return "".join(lines).contains(word)
	t.check("%s: one line says %s" % [title, words], lines.size() == 1 and words.all(has), lines)
