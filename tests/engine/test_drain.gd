extends SceneTree
## A server that tells its players that it goes, keeps newcomers out, and closes who is still there.

const Harness := preload("res://support/harness.gd")
const Session := preload("res://support/session.gd")
const Branch := preload("res://support/branch.gd")
const Raw := preload("res://support/raw.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

## More than the close timeout.
const PATIENCE_MS := 8000

var t := Harness.new()
## What drain_started, peer_disconnected and drained told, in their order.
var _told: Array = []


func _initialize() -> void:
	await process_frame
	t.begin(self, 50.0)
	if not t.ready():
		return
	_both_kinds_of_clients()
	_newcomers()
	_tells_by_rpc()
	_who_never_leaves()
	_nobody_there()
	_cancelled_and_begun_again()
	_ends_with_the_session()
	_errors()
	_handlers()
	t.finish()


## The built-in class and ours see code and reason, and the packets before.
func _both_kinds_of_clients() -> void:
	var server := _new_server()
	var clients: Array = []
	var ends: Array = []
	for name: String in [Harness.BUILT_IN, t.client_class]:
		var client: MultiplayerPeer = ClassDB.instantiate(name)
		client.create_client(t.url(server.get_local_port()))
		client.peer_disconnected.connect(
			func(_id: int) -> void:
				var socket: Object = client.get_peer(1)
				ends.append([name, socket.get_close_code(), socket.get_close_reason()])
		)
		clients.append(client)
	var closed: Array = []
	server.peer_closed.connect(
		func(_id: int, code: int, reason: String, was_clean: bool) -> void: closed.append([code, reason, was_clean])
	)
	var all: Array = [server] + clients
	t.pump(all, func() -> bool: return clients.all(_is_connected))
	t.equal("not draining at first", server.is_draining(), false)
	t.equal("a drain begins", server.begin_drain(0.3, 4123, "new version"), OK)
	t.equal("it is told at once", _told, [["started", 0.3]])
	t.equal("it drains", server.is_draining(), true)
	server.set_target_peer(0)
	server.put_packet(t.numbered(7))
	var heard := func() -> bool:
		return clients.all(func(each: MultiplayerPeer) -> bool: return each.get_available_packet_count() == 1)
	t.check("players play on", t.pump(all, heard) and ends.is_empty() and _told.size() == 1, [ends, _told])
	var over := func() -> bool: return _told.has("drained") and ends.size() == 2
	t.check("they are closed when the time is up", t.pump(all, over, PATIENCE_MS), [_told, ends])
	ends.sort()
	var wanted := [[Harness.BUILT_IN, 4123, "new version"], [t.client_class, 4123, "new version"]]
	wanted.sort()
	t.equal("clients see code and reason", ends, wanted)
	t.equal("so does the server", closed, [[4123, "new version", true], [4123, "new version", true]])
	var kinds := _told.map(func(each: Variant) -> String: return each[0] if each is Array else each)
	t.equal("first the players go, then it is over", kinds, ["started", "gone", "gone", "drained"])
	t.spin(all)
	t.equal("it is over once", _told.count("drained"), 1)
	t.equal("it drains until it is closed", server.is_draining(), true)
	_retire(all)


func _newcomers() -> void:
	var server := _new_server()
	var port: int = server.get_local_port()
	var early := Raw.dial(port, [server])
	var player := Raw.join(port, [server])
	var pending := Raw.dial(port, [server])
	pending.send_text(Raw.request(port).left(40))
	t.spin([server])
	server.begin_drain(1000.0)
	pending.send_text(Raw.request(port).substr(40))
	for raw: Raw in [early, Raw.dial(port, [server])]:
		raw.send_text(Raw.request(port))
	var answers := []
	for raw: Raw in [early, pending]:
		raw.read_head([server])
		answers.append(raw.status())
	t.equal("503 for those who were under way", answers, [503, 503])
	server.refuse_new_connections = true
	var late := Raw.dial(port, [server])
	late.send_text(Raw.request(port))
	late.read_head([server])
	var seconds := int(late.header("Retry-After"))
	t.check(
		"503 for those who come, with the seconds that are left",
		late.status() == 503 and seconds > 900 and seconds <= 1000,
		late.head
	)
	t.equal("counted apart", [server.get_stats().refused_draining >= 3, server.get_stats().refused_full], [true, 0])
	player.send_frame(Raw.BINARY, t.numbered(3))
	var came := func() -> bool: return server.get_available_packet_count() == 1
	t.check("the player plays on", t.pump([server], came), "nothing came")
	# The built-in class is refused, too.
	var client: MultiplayerPeer = ClassDB.instantiate(Harness.BUILT_IN)
	client.create_client(t.url(port))
	var ended := func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED
	t.expect_error("Invalid status code. Got: '503', expected '101'.")
	t.expect_error("Invalid response headers.")
	t.check("a built-in client does not get in", t.pump([server, client], ended), client.get_connection_status())
	_retire([server, client])


## The use of it: the game's own words reach everybody before the close. The built-in class needs a little time,
## because it loses packets that come together with a close.
func _tells_by_rpc() -> void:
	var session: Session = Session.open_mixed(t, self, t.server_class, [Harness.BUILT_IN, t.client_class])
	var server := session.server
	server.peer().drain_started.connect(
		func(seconds: float) -> void: server.actor.from_authority.rpc("going in %d s" % seconds)
	)
	server.peer().begin_drain(0.2, 1001, "restart")
	var gone := func() -> bool:
		return session.clients.all(func(each: Branch) -> bool: return each.events.has("server gone"))
	t.check("everybody goes", session.pump(gone, PATIENCE_MS), "they stay")
	for client in session.clients:
		t.equal("and was told before", client.values("from_authority"), ["going in 0 s"])
	session.close()


## One that never answers the close and never ends the connection, and one that never reads.
func _who_never_leaves() -> void:
	var server := _new_server()
	var stubborn := Raw.join(server.get_local_port(), [server])
	var deaf := Raw.join(server.get_local_port(), [server])
	server.set_target_peer(0)
	# Until the kernel takes no more and the queue is full.
	t.expect_error("does not fit into the outbound queue")
	for i in 4000:
		if server.put_packet(t.bytes(60000)) != OK:
			break
		stubborn.poll()
		stubborn.inbox.clear()
	server.begin_drain(0.0, 1001, "restart")
	var over := func() -> bool: return _told.has("drained")
	var done := stubborn.wait([server], over, PATIENCE_MS)
	t.check("whoever never leaves does not hold the server", done, _told)
	t.check("it stays on the line until then", deaf != null)
	_retire([server])


func _nobody_there() -> void:
	var server := _new_server()
	server.begin_drain(1000.0)
	t.equal("nothing before the next poll", _told, [["started", 1000.0]])
	server.poll()
	t.equal("over in the next poll", _told, [["started", 1000.0], "drained"])
	t.spin([server], 20)
	t.equal("once", _told.count("drained"), 1)
	_retire([server])


func _cancelled_and_begun_again() -> void:
	var net := _net()
	var server: MultiplayerPeer = net.server
	server.begin_drain(0.1)
	server.cancel_drain()
	t.equal("a drain is cancelled", server.is_draining(), false)
	t.spin(net.all, 150)
	t.check("the player stays", t.talks(net) and _told == [["started", 0.1]], _told)
	var client := t.new_client()
	t.check("newcomers get in again", t.add_client(net, client), "they do not")
	server.begin_drain(0.1, 1001, "first")
	server.begin_drain(1000.0, 1012, "second")
	t.spin(net.all, 150)
	t.check("a second drain takes the place of the first", t.talks(net, 1), _told)
	var codes := []
	for each: MultiplayerPeer in net.clients:
		each.peer_disconnected.connect(func(_id: int) -> void: codes.append(each.get_peer(1).get_close_code()))
	server.begin_drain(0.0, 1012, "third")
	t.pump(net.all, func() -> bool: return codes.size() == 2)
	t.equal("with its time and code", codes, [1012, 1012])
	_retire(net.all)


func _ends_with_the_session() -> void:
	var net := _net()
	var server: MultiplayerPeer = net.server
	server.begin_drain(1000.0)
	server.close()
	t.equal("close() ends a drain", server.is_draining(), false)
	t.pump(net.all, func() -> bool: return net.clients[0].get_connection_status() == Harness.DISCONNECTED)
	server.create_server(net.port, "127.0.0.1")
	t.equal("a new session does not drain", server.is_draining(), false)
	var client := t.new_client()
	t.check("and lets players in", t.add_client(net, client), "it does not")
	t.check("nothing was told of an end", not _told.has("drained"), _told)
	_retire(net.all)


func _errors() -> void:
	var net := _net()
	t.expect_error("begin_drain: the time must be 0 seconds or more")
	t.expect_error("is no close code that can be sent")
	t.expect_error("begin_drain: the peer is not connected")
	var counter := ErrorCounter.start()
	var server: MultiplayerPeer = net.server
	for seconds: float in [-1.0, NAN, INF, -INF]:
		t.equal("not for %s seconds" % seconds, server.begin_drain(seconds), ERR_INVALID_PARAMETER)
	for code: int in [0, 999, 1005, 1006, 1015, 5000, -1, 65536 + 1000]:
		t.equal("not with the code %d" % code, server.begin_drain(1.0, code), ERR_INVALID_PARAMETER)
	t.equal("not on a client", net.clients[0].begin_drain(1.0), ERR_UNCONFIGURED)
	t.equal("not without a session", t.new_server().begin_drain(1.0), ERR_UNCONFIGURED)
	net.clients[0].cancel_drain()
	t.new_server().cancel_drain()
	counter.stop()
	# The log of the server is cut at ten lines a second.
	t.equal("each has a line in the log", counter.count, 12)
	t.check("nothing has begun", not server.is_draining() and _told.is_empty() and t.talks(net), _told)
	_retire(net.all)


## Handlers may do what they like.
func _handlers() -> void:
	var server := _new_server()
	server.drain_started.connect(func(_seconds: float) -> void: server.cancel_drain(), CONNECT_ONE_SHOT)
	t.equal("a handler cancels", [server.begin_drain(1000.0), server.is_draining()], [OK, false])
	server.drained.connect(
		func() -> void:
			server.close()
			server.create_server(0, "127.0.0.1"),
		CONNECT_ONE_SHOT
	)
	server.begin_drain(0.0)
	server.poll()
	t.equal("a handler starts anew", [server.is_draining(), server.get_connection_status()], [false, Harness.CONNECTED])
	_retire([server])
	for event: String in ["drain_started", "drained"]:
		var box := [_new_server()]
		box[0].connect(event, func(_a: Variant = null) -> void: box.clear())
		box[0].begin_drain(0.0)
		if not box.is_empty():
			box[0].poll()
		t.check("a handler of %s drops the peer" % event, box.is_empty())


func _is_connected(peer: MultiplayerPeer) -> bool:
	return peer.get_connection_status() == Harness.CONNECTED


func _new_server() -> MultiplayerPeer:
	var server := t.new_server()
	server.create_server(0, "127.0.0.1")
	_listen_to(server)
	return server


func _net() -> Dictionary:
	var net := t.connect_net(1)
	_listen_to(net.server)
	return net


func _listen_to(server: MultiplayerPeer) -> void:
	_told = []
	var told := _told
	server.drain_started.connect(func(seconds: float) -> void: told.append(["started", seconds]))
	server.peer_disconnected.connect(func(id: int) -> void: told.append(["gone", id]))
	server.drained.connect(func() -> void: told.append("drained"))


func _retire(peers: Array) -> void:
	for peer: MultiplayerPeer in peers:
		for event in [&"drain_started", &"drained"]:
			if peer.has_signal(event):
				for connection in peer.get_signal_connection_list(event):
					peer.disconnect(event, connection.callable)
	t.retire(peers)
