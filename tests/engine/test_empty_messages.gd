extends SceneTree
## Messages without content cost nothing: what follows them is not held up.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const COUNT := 5000

var t := Harness.new()


func _initialize() -> void:
	t.begin(self)
	if not t.ready():
		return
	_to_server()
	_to_client()
	_never_sent()
	t.finish()


func _empties(raw: Raw) -> PackedByteArray:
	var data := PackedByteArray()
	for i in COUNT:
		data.append_array(raw.make(Raw.BINARY if i % 2 else Raw.TEXT))
	return data


func _to_server() -> void:
	var net := t.connect_net(1)
	var raw := Raw.join(net.port, net.all)
	raw.send(_empties(raw) + raw.make(Raw.BINARY, t.bytes(8)) + raw.make(Raw.TEXT) + raw.make(Raw.BINARY, t.bytes(9)))
	t.settle(60)
	net.server.poll()
	net.server.poll()
	t.equal(
		"%d empty messages to a server do not delay what follows" % COUNT,
		t.take(net.server),
		[t.bytes(8), t.bytes(9)] as Array[PackedByteArray]
	)
	t.check("others play on after empty messages", t.talks(net))
	t.close_net(net)


func _to_client() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.create_client(t.url(listener.get_local_port()))
	var raw := Raw.serve(listener, [client])
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	var counter := ErrorCounter.start()
	raw.send(_empties(raw) + raw.make(Raw.BINARY, t.bytes(8)))
	t.settle(60)
	client.poll()
	client.poll()
	counter.stop()
	t.equal(
		"%d empty messages to a client do not delay what follows" % COUNT,
		t.take(client),
		[t.bytes(8)] as Array[PackedByteArray]
	)
	t.check("empty messages are no errors", counter.count <= 1, "%d lines" % counter.count)
	t.retire([client])


func _never_sent() -> void:
	var net := t.connect_net(1)
	var results := [net.server.put_packet(PackedByteArray()), net.clients[0].put_packet(PackedByteArray())]
	t.spin(net.all, 20)
	t.equal(
		"an empty packet is accepted and not sent",
		[results, net.server.get_available_packet_count(), net.clients[0].get_available_packet_count()],
		[[OK, OK], 0, 0]
	)
	t.close_net(net)
