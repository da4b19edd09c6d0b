extends SceneTree
## Objects are freed in every state that they can be in: nothing of them is left, and the other side sees its end.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const LOOPBACK := "127.0.0.1"
const SOCKET := "MioWebSocketPeer"
const SOCKET_SERVER := "MioWebSocketServer"

var t := Harness.new()
## What a case needs besides the object that it frees.
var _kept: Array = []
var _key: CryptoKey
var _certificate: X509Certificate
## Descriptors that are open without any of it.
var _at_first := 0


func _initialize() -> void:
	await process_frame
	t.begin(self, 40.0)
	if not t.ready():
		return
	var crypto := Crypto.new()
	_key = crypto.generate_rsa(2048)
	_certificate = crypto.generate_self_signed_certificate(_key, "CN=127.0.0.1")
	_at_first = _descriptors()
	for case: Callable in [
		_client_new,
		_client_looks_for_a_name,
		_client_looks_for_a_name_and_is_polled,
		_client_waits_for_tcp,
		_client_waits_for_tls,
		_client_waits_for_an_answer,
		_client_has_half_an_answer,
		_client_waits_for_its_id,
		_client_plays,
		_client_plays_over_tls,
		_client_has_sent,
		_client_has_packets_and_half_a_packet,
		_client_leaves,
		_client_has_failed,
		_client_has_lost_its_server,
		_client_is_closed,
		_server_alone,
		_server_has_newcomers,
		_server_has_newcomers_over_tls,
		_server_has_those_whom_it_has_not_seen,
		_server_refuses,
		_server_has_peers,
		_server_has_peers_that_go,
		_server_has_packets,
		_server_has_views,
		_server_has_not_decided,
		_server_is_watched,
		_server_is_told_to_end,
		_socket_connects,
		_socket_is_open,
		_socket_closes,
		_socket_has_messages,
		_socket_over_a_stream,
		_socket_over_a_stream_that_says_nothing,
		_socket_server_alone,
		_socket_server_has_newcomers,
		_socket_server_has_connections,
	]:
		await _free_in(case)
	_views_outlive_their_owner()
	_connections_outlive_their_server()
	t.finish()


## `case` makes an object and puts what else it needs into `_kept`; what is Raw there must see its end.
func _free_in(case: Callable) -> void:
	var name := String(case.get_method()).trim_prefix("_").replace("_", " ")
	# In calls of their own, whose temporaries are gone afterwards.
	var weak := _make(case)
	t.check("%s: it is gone" % name, weak.get_ref() == null)
	_see_the_end(name)
	_kept.clear()
	# The engine looks for names in a thread, which may open something between two looks.
	var left := -1
	for i in 100:
		await process_frame
		left = _descriptors()
		if left == _at_first:
			break
	t.equal("%s: no descriptor is left" % name, left, _at_first)


func _see_the_end(name: String) -> void:
	for raw: Variant in _kept:
		if raw is Raw:
			t.check("%s: the other side sees its end" % name, raw.wait_closed([]))


func _make(case: Callable) -> WeakRef:
	return weakref(case.call())


func _client_new() -> Object:
	return t.new_client()


func _client_looks_for_a_name() -> Object:
	return _client("ws://no-such-host.invalid:1")


func _client_looks_for_a_name_and_is_polled() -> Object:
	var client := _client("ws://localhost:%d" % _listener().get_local_port())
	client.poll()
	return client


## The listener's queue is full, so that nobody answers.
func _client_waits_for_tcp() -> Object:
	var listener := _listener()
	for i in 20:
		var filler := StreamPeerTCP.new()
		filler.connect_to_host(LOOPBACK, listener.get_local_port())
		_kept.append(filler)
	t.settle()
	var client := _client(t.url(listener.get_local_port()))
	t.spin([client], 10)
	return client


func _client_waits_for_tls() -> Object:
	return _accepted(_client("wss://127.0.0.1:%d" % _listener().get_local_port()))


func _client_waits_for_an_answer() -> Object:
	return _accepted(_client(t.url(_listener().get_local_port())))


func _client_has_half_an_answer() -> Object:
	var client := _accepted(_client(t.url(_listener().get_local_port())))
	_kept[-1].send_text("HTTP/1.1 101 Switching Protocols\r\nUpgr")
	t.spin([client], 10)
	return client


func _client_waits_for_its_id() -> Object:
	var client := _client(t.url(_listener().get_local_port()))
	_kept.append(Raw.serve(_kept[-1], [client], 0))
	t.spin([client], 10)
	return client


func _client_plays() -> Object:
	var client := _client(t.url(_listener().get_local_port()))
	_kept.append(Raw.serve(_kept[-1], [client]))
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	return client


func _client_plays_over_tls() -> Object:
	var server := t.new_server()
	server.create_server(0, LOOPBACK, TLSOptions.server(_key, _certificate))
	_kept.append(server)
	var client := t.new_client()
	var address := "wss://127.0.0.1:%d" % server.get_local_port()
	client.create_client(address, TLSOptions.client_unsafe(_certificate))
	t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	client.put_packet(t.bytes(1000))
	return client


## With a call that waits for the end of the frame.
func _client_has_sent() -> Object:
	var client := _client_plays()
	client.poll()
	client.put_packet(t.bytes(1000))
	return client


func _client_has_packets_and_half_a_packet() -> Object:
	var client := _client_plays()
	var raw: Raw = _kept[-1]
	raw.send(raw.make(Raw.BINARY, t.bytes(10)) + raw.make(Raw.BINARY, t.bytes(1000)).slice(0, 500))
	t.pump([client], func() -> bool: return client.get_available_packet_count() > 0)
	return client


func _client_leaves() -> Object:
	var client := _client_plays()
	client.disconnect_peer(1)
	t.spin([client], 5)
	return client


func _client_has_failed() -> Object:
	var client := _client(t.url(t.free_port()))
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED)
	return client


func _client_has_lost_its_server() -> Object:
	var client := _client_has_packets_and_half_a_packet()
	_kept[-1].tcp.disconnect_from_host()
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED)
	return client


func _client_is_closed() -> Object:
	var client := _client_plays()
	client.close()
	return client


func _server_alone() -> Object:
	return _server()


func _server_has_newcomers() -> Object:
	var server := _server()
	for text: String in ["", "GET / HTTP/1.1\r\nHo"]:
		_kept.append(Raw.dial(server.get_local_port(), [server]))
		_kept[-1].send_text(text)
	t.spin([server], 10)
	return server


func _server_has_newcomers_over_tls() -> Object:
	var server := t.new_server()
	server.create_server(0, LOOPBACK, TLSOptions.server(_key, _certificate))
	for bytes: PackedByteArray in [PackedByteArray(), PackedByteArray([22, 3, 1, 1, 0])]:
		_kept.append(Raw.dial(server.get_local_port(), [server]))
		_kept[-1].send(bytes)
	t.spin([server], 10)
	return server


func _server_has_those_whom_it_has_not_seen() -> Object:
	var server := _server()
	_kept.append(Raw.dial(server.get_local_port()))
	_kept[-1].send_text(Raw.request(server.get_local_port()))
	t.settle()
	return server


func _server_refuses() -> Object:
	var server := _server()
	server.refuse_new_connections = true
	_kept.append(Raw.dial(server.get_local_port()))
	t.spin([server], 10)
	return server


func _server_has_peers() -> Object:
	var server := _server()
	for i in 3:
		_kept.append(Raw.join(server.get_local_port(), [server]))
	# One of them gets more than the kernel takes.
	for i in 200:
		server.put_packet(t.bytes(30_000))
	t.expect_error("put_packet")
	return server


func _server_has_peers_that_go() -> Object:
	var server := _server()
	var ids := []
	server.peer_connected.connect(func(id: int) -> void: ids.append(id))
	for i in 3:
		_kept.append(Raw.join(server.get_local_port(), [server]))
	server.disconnect_peer(ids[0])
	server.disconnect_peer(ids[1], true)
	_kept[2].send_frame(Raw.CLOSE)
	t.settle()
	return server


func _server_has_packets() -> Object:
	var server := _server()
	_kept.append(Raw.join(server.get_local_port(), [server]))
	var raw: Raw = _kept[-1]
	raw.send(raw.make(Raw.BINARY, t.bytes(10)) + raw.make(Raw.BINARY, t.bytes(1000)).slice(0, 500))
	t.pump([server], func() -> bool: return server.get_available_packet_count() > 0)
	return server


func _server_has_views() -> Object:
	var server := _server()
	server.peer_connected.connect(func(id: int) -> void: _kept.append(server.get_peer(id)))
	_kept.append(Raw.join(server.get_local_port(), [server]))
	for connection in server.peer_connected.get_connections():
		server.peer_connected.disconnect(connection.callable)
	return server


func _server_has_not_decided() -> Object:
	var server := _server()
	server.admission_callback = _kept.append
	_kept.append(Raw.dial(server.get_local_port(), [server]))
	_kept[-1].send_text(Raw.request(server.get_local_port()))
	t.pump([server], func() -> bool: return not _kept[-1] is Raw)
	return server


func _server_is_watched() -> Object:
	var server := _server()
	server.monitors_enabled = true
	server.create_status_endpoint(0)
	_kept.append(Raw.dial(server.get_status_endpoint_port(), [server]))
	_kept[-1].send_text("GET /met")
	t.spin([server], 10)
	return server


func _server_is_told_to_end() -> Object:
	var server := _server()
	_kept.append(Raw.join(server.get_local_port(), [server]))
	server.begin_drain(10.0)
	server.poll()
	return server


func _socket_connects() -> Object:
	var socket: Object = ClassDB.instantiate(SOCKET)
	socket.connect_to_url(t.url(_listener().get_local_port()))
	return _accepted(socket)


func _socket_is_open() -> Object:
	var socket: Object = ClassDB.instantiate(SOCKET)
	socket.connect_to_url(t.url(_listener().get_local_port()))
	_kept.append(Raw.serve(_kept[-1], [socket], 0))
	t.pump([socket], func() -> bool: return socket.get_ready_state() == 1)
	return socket


func _socket_closes() -> Object:
	var socket := _socket_is_open()
	socket.close(3000, "enough")
	socket.poll()
	return socket


func _socket_has_messages() -> Object:
	var socket := _socket_is_open()
	_kept[-1].send_frame(Raw.TEXT, t.bytes(0))
	_kept[-1].send_frame(Raw.BINARY, t.bytes(100), false)
	socket.send_text("not written")
	t.spin([socket], 5)
	return socket


func _socket_over_a_stream() -> Object:
	var socket := _socket_over_a_stream_that_says_nothing()
	_kept[-1].send_text(Raw.request(1))
	t.pump([socket], func() -> bool: return socket.get_ready_state() == 1)
	return socket


func _socket_over_a_stream_that_says_nothing() -> Object:
	var listener := _listener()
	_kept.append(Raw.dial(listener.get_local_port()))
	var socket: Object = ClassDB.instantiate(SOCKET)
	socket.accept_stream(listener.take_connection())
	socket.poll()
	return socket


func _socket_server_alone() -> Object:
	var server: Object = ClassDB.instantiate(SOCKET_SERVER)
	server.listen(0, LOOPBACK)
	return server


func _socket_server_has_newcomers() -> Object:
	var server := _socket_server_alone()
	_kept.append(Raw.dial(server.get_local_port()))
	t.settle()
	server.is_connection_available()
	return server


func _socket_server_has_connections() -> Object:
	var server := _socket_server_alone()
	_kept.append(Raw.dial(server.get_local_port()))
	_kept[-1].send_text(Raw.request(server.get_local_port()))
	var end := Time.get_ticks_msec() + 2000
	while not server.is_connection_available() and Time.get_ticks_msec() < end:
		OS.delay_msec(1)
	return server


func _views_outlive_their_owner() -> void:
	var views := _views()
	var states := views.map(func(view: Object) -> int: return view.get_ready_state())
	t.equal("views of owners that are gone are closed", states, [3, 3])
	t.expect_error("send: the connection is not open")
	for view: Object in views:
		view.poll()
		t.check("and refuse to send", view.send(PackedByteArray([1])) != OK)
		t.equal("and have nothing", view.get_available_packet_count(), 0)
		view.close()


func _views() -> Array:
	var net := t.connect_net(1)
	return [net.server.get_peer(net.ids[0]), net.clients[0].get_peer(1)]


func _connections_outlive_their_server() -> void:
	var sockets := _pair()
	t.check("a connection plays on when its server is gone", sockets[0].send_text("still here") == OK)
	t.check("and the other end hears it", t.pump(sockets, func() -> bool: return sockets[1].get_available_packet_count() > 0))
	t.equal("in full", sockets[1].get_packet().get_string_from_utf8(), "still here")


func _pair() -> Array:
	var server := _socket_server_alone()
	var socket: Object = ClassDB.instantiate(SOCKET)
	socket.connect_to_url(t.url(server.get_local_port()))
	t.pump([socket], server.is_connection_available)
	var taken: Object = server.take_connection()
	t.pump([socket, taken], func() -> bool: return socket.get_ready_state() == 1)
	return [taken, socket]


func _server() -> MultiplayerPeer:
	var server := t.new_server()
	server.create_server(0, LOOPBACK)
	return server


func _client(address: String) -> MultiplayerPeer:
	var client := t.new_client()
	client.create_client(address)
	return client


## A listener, which is kept.
func _listener() -> TCPServer:
	var listener := TCPServer.new()
	listener.listen(0, LOOPBACK)
	_kept.append(listener)
	return listener


## `client`, when the listener that was kept last has got a connection from it.
func _accepted(client: Object) -> Object:
	_kept.append(Raw.accept(_kept[-1], [client]))
	t.spin([client], 10)
	return client


## 0 where they cannot be counted.
func _descriptors() -> int:
	return DirAccess.get_files_at("/proc/self/fd").size() if DirAccess.dir_exists_absolute("/proc/self/fd") else 0
