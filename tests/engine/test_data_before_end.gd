extends SceneTree
## What was sent before the end of a connection arrives before its end: the data in one poll, the signal in the next.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	for ending: String in ["close frame", "FIN", "reset"]:
		_to_server(ending)
		_to_client(ending)
	_many_messages_and_close()
	_sent_with_the_request()
	for ending: String in ["disconnect_peer", "disconnect_peer forced", "get_peer close", "close"]:
		_put_packet_then(ending)
		_client_put_packet_then(ending)
	_last_words_by_rpc()
	t.finish()


## A raw client sends a message and ends the connection before the server polls again.
func _to_server(ending: String) -> void:
	var server := t.new_server()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	var raw := Raw.dial(port, [server])
	raw.send_text(Raw.request(port))
	var events := t.record(server)
	t.pump([server], func() -> bool: return events.size() == 1)
	t.settle()
	if ending != "reset":
		raw.read_head([])
		raw.read_frame([])
	_end_raw(raw, ending)
	server.poll()
	var first := [server.get_available_packet_count(), events.size()]
	var packets := t.take(server)
	server.poll()
	t.equal(
		"a client's message and %s read at once" % ending, [first, packets, events.size()], [[1, 1], [t.bytes(9)], 2]
	)
	t.retire([server])


## The same towards a client; it stays connected for the poll that brings the data.
func _to_client(ending: String) -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.create_client(t.url(listener.get_local_port()))
	var events := t.record(client)
	var raw := Raw.serve(listener, [client])
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	if ending == "reset":
		# Closing a socket that holds unread bytes resets the connection.
		client.put_packet(t.bytes(5))
		client.poll()
		t.settle()
	_end_raw(raw, ending)
	client.poll()
	var first := [client.get_available_packet_count(), client.get_connection_status(), events.size()]
	var packets := t.take(client)
	client.poll()
	t.equal(
		"a server's message and %s read at once" % ending,
		[first, packets, events.size(), client.get_connection_status()],
		[[1, Harness.CONNECTED, 1], [t.bytes(9)], 2, Harness.DISCONNECTED]
	)
	t.retire([client])


func _end_raw(raw: Raw, ending: String) -> void:
	var data := raw.make(Raw.BINARY, t.bytes(9))
	if ending == "close frame":
		data.append_array(raw.make(Raw.CLOSE, PackedByteArray([0x03, 0xe8])))
	raw.send(data)
	if ending != "close frame":
		raw.tcp.disconnect_from_host()
	t.settle()


func _many_messages_and_close() -> void:
	var net := t.connect_net(0)
	var raw := Raw.join(net.port, [net.server])
	var data := PackedByteArray()
	for i in 100:
		data.append_array(raw.make(Raw.BINARY, t.numbered(i, 300)))
	raw.send(data + raw.make(Raw.CLOSE))
	t.settle()
	var got := []
	t.pump(
		[net.server],
		func() -> bool:
			for packet in t.take(net.server):
				got.append(packet.decode_u32(0))
			return got.size() == 100,
		1000
	)
	t.equal("100 messages and a close frame read at once", got, range(100))
	t.close_net(net)


## The client does not know its id yet, but may speak.
func _sent_with_the_request() -> void:
	var net := t.connect_net(0)
	var events := t.record(net.server)
	var raw := Raw.dial(net.port, [net.server])
	raw.send(Raw.request(net.port).to_utf8_buffer() + raw.make(Raw.BINARY, t.bytes(9)))
	t.pump([net.server], func() -> bool: return net.server.get_available_packet_count() > 0, 1000)
	t.equal("a message in the segment of the upgrade request", [events.size(), t.take(net.server)], [1, [t.bytes(9)]])
	t.close_net(net)


func _put_packet_then(ending: String) -> void:
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	var client: MultiplayerPeer = net.clients[0]
	var events := t.record(client)
	server.set_target_peer(net.ids[0])
	server.put_packet(t.bytes(3000))
	match ending:
		"disconnect_peer":
			server.disconnect_peer(net.ids[0])
		"disconnect_peer forced":
			server.disconnect_peer(net.ids[0], true)
		"get_peer close":
			server.get_peer(net.ids[0]).close(4007, "kicked")
		_:
			server.close()
	server.poll()
	t.settle()
	client.poll()
	var first := [t.take(client), client.get_connection_status(), events.size()]
	t.pump([server, client], func() -> bool: return events.size() == 1, 1000)
	t.equal(
		"server: put_packet, then %s" % ending,
		[first, events],
		[[[t.bytes(3000)], Harness.CONNECTED, 0], ["-1"] as Array[String]]
	)
	t.close_net(net)


func _client_put_packet_then(ending: String) -> void:
	var net := t.connect_net(1)
	var server: MultiplayerPeer = net.server
	var client: MultiplayerPeer = net.clients[0]
	var events := t.record(server)
	client.put_packet(t.bytes(3000))
	match ending:
		"disconnect_peer":
			client.disconnect_peer(1)
		"disconnect_peer forced":
			client.disconnect_peer(1, true)
		"get_peer close":
			client.get_peer(1).close(4007, "enough")
		_:
			client.close()
	client.poll()
	t.settle()
	server.poll()
	var first := [t.take(server), events.size()]
	t.pump([server, client], func() -> bool: return events.size() == 1, 1000)
	t.equal(
		"client: put_packet, then %s" % ending,
		[first, events],
		[[[t.bytes(3000)], 0], ["-%d" % net.ids[0]] as Array[String]]
	)
	t.close_net(net)


func _last_words_by_rpc() -> void:
	var session: Session = Session.open(t, self, 2)
	var kicked: Branch = session.clients[0]
	# Known paths first, as in a game that has run for a while.
	session.server.actor.reliable.rpc("hello")
	session.pump(
		func() -> bool: return session.clients.all(func(client: Branch) -> bool: return client.actor.calls.size() == 1)
	)
	session.server.actor.reliable.rpc_id(kicked.id(), "you were kicked because of the test")
	session.server.api.disconnect_peer(kicked.id())
	session.pump(func() -> bool: return kicked.events.has("server gone"))
	t.equal(
		"an RPC right before disconnect_peer is called",
		kicked.values("reliable"),
		["hello", "you were kicked because of the test"]
	)

	var leaver: Branch = session.clients[1]
	var id := leaver.id()
	leaver.actor.reliable.rpc_id(1, "hello")
	session.pump(func() -> bool: return session.server.actor.calls.size() == 1)
	leaver.actor.reliable.rpc_id(1, "goodbye")
	leaver.peer().close()
	session.pump(func() -> bool: return session.server.events.has("-%d" % id))
	t.equal("an RPC right before a client's close is called", session.server.values("reliable"), ["hello", "goodbye"])
	session.close()
