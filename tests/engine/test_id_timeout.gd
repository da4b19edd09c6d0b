extends SceneTree
## A server that upgrades and never sends an id does not keep its client waiting for ever.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")
const Branch := preload("res://support/branch.gd")

const TIMEOUT := 0.4

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	for kind: String in [
		"accepts nothing",
		"accepts TCP only",
		"sends half of its answer",
		"sends no id",
		"sends pings and no id",
		"sends half of its id"
	]:
		_silent_server(kind)
	_through_the_api()
	_late_but_in_time()
	t.finish()


func _silent_server(kind: String) -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.handshake_timeout = TIMEOUT
	var events := t.record(client)
	var start := Time.get_ticks_msec()
	client.create_client(t.url(listener.get_local_port()))
	var raw: Raw
	if kind != "accepts nothing":
		raw = Raw.accept(listener, [client])
	if not kind.begins_with("accepts"):
		raw.read_head([client])
		var answer := Raw.answer(raw.header("Sec-WebSocket-Key"))
		raw.send_text(answer.left(60) if kind == "sends half of its answer" else answer)
	if kind == "sends half of its id":
		raw.send(raw.make(Raw.BINARY, Raw.int32(7)).slice(0, 4))
	var pinged := [0]
	var over := t.pump(
		[client],
		func() -> bool:
			if kind == "sends pings and no id" and raw.is_open() and Time.get_ticks_msec() - start > pinged[0] * 50:
				pinged[0] += 1
				raw.send_frame(Raw.PING)
				raw.poll()
			return client.get_connection_status() == Harness.DISCONNECTED,
		2000
	)
	var took := Time.get_ticks_msec() - start
	t.check(
		"a server that %s: disconnected after handshake_timeout" % kind,
		over and took >= 390 and took < 1200,
		"%s, %d ms" % [over, took]
	)
	t.equal("a server that %s: no signal, no id" % kind, [events.size(), client.get_unique_id()], [0, 0])
	if raw != null:
		t.check("a server that %s sees the connection end" % kind, raw.wait_closed([client]))
	t.retire([client])


func _through_the_api() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var peer := t.new_client()
	peer.handshake_timeout = TIMEOUT
	peer.create_client(t.url(listener.get_local_port()))
	var client: Branch = Branch.create(self, "Client", peer)
	var raw := Raw.serve(listener, [client], 0)
	t.pump([client], func() -> bool: return not client.events.is_empty(), 2000)
	t.equal("the API tells that the connection failed", Array(client.events), ["failed"])

	# The same object, and a server that works.
	var net := t.connect_net(0)
	peer.create_client(t.url(net.port))
	client.api.multiplayer_peer = peer
	t.pump([client, net.server], func() -> bool: return client.events.has("connected"))
	t.equal("the same peer connects to a better server", Array(client.events), ["failed", "connected", "+1"])
	raw.tcp.disconnect_from_host()
	client.retire()
	t.close_net(net)


## Each step takes its time, all of them together are fast enough; and no time is counted once connected.
func _late_but_in_time() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	var client := t.new_client()
	client.handshake_timeout = 1.0
	client.create_client(t.url(listener.get_local_port()))
	var raw := Raw.serve(listener, [client], 0)
	t.spin([client], 400)
	raw.send_frame(Raw.BINARY, Raw.int32(9))
	t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	t.spin([client], 800)
	t.equal(
		"an id that comes late but in time",
		[client.get_connection_status(), client.get_unique_id()],
		[Harness.CONNECTED, 9]
	)
	t.retire([client])
