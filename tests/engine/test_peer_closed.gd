extends SceneTree
## Ends with a code and a reason: close_peer, and peer_closed just before peer_disconnected on both ends.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self)
	if not t.ready():
		return
	_a_server_closes()
	_a_client_closes()
	_with_the_built_in_class()
	_codes_that_must_not_be_sent()
	_what_a_bare_client_sends()
	_ends_without_a_signal()
	_in_handlers()
	_a_handler_drops_the_peer()
	t.finish()


## Everything that a peer signals, as text.
func _record(peer: MultiplayerPeer) -> Array[String]:
	var events := t.record(peer)
	peer.peer_closed.connect(
		func(id: int, code: int, reason: String, was_clean: bool) -> void:
			events.append("closed %d: %d %s%s" % [id, code, reason, "" if was_clean else " (unclean)"])
	)
	return events


func _gone(client: MultiplayerPeer) -> Callable:
	return func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED


func _retire(net: Dictionary) -> void:
	for peer: MultiplayerPeer in net.all:
		for connection in peer.get_signal_connection_list("peer_closed"):
			peer.peer_closed.disconnect(connection.callable)
	t.close_net(net)


func _a_server_closes() -> void:
	var net := t.connect_net()
	var id: int = net.ids[0]
	var client: MultiplayerPeer = net.clients[0]
	var server_events := _record(net.server)
	var client_events := _record(client)
	net.server.set_target_peer(id)
	net.server.put_packet(PackedByteArray([1, 2, 3]))
	t.equal("close_peer works", net.server.close_peer(id, 4001, "Banned until Friday é"), OK)
	var got: Array[PackedByteArray] = []
	t.pump(
		net.all,
		func() -> bool:
			got.append_array(t.take(client))
			return _gone(client).call() and not server_events.is_empty()
	)
	t.equal("a server tells why", server_events, ["closed %d: 4001 Banned until Friday é" % id, "-%d" % id] as Array[String])
	t.equal("a client is told why", client_events, ["closed 1: 4001 Banned until Friday é", "-1"] as Array[String])
	t.equal("what was sent before arrives", got, [PackedByteArray([1, 2, 3])] as Array[PackedByteArray])
	t.equal("a close is no connection error", client.get_connection_error(), {})
	_retire(net)


func _a_client_closes() -> void:
	var net := t.connect_net(2)
	var events := _record(net.server)
	t.equal("a client closes its server", net.clients[0].close_peer(1, 3999), OK)
	t.pump(net.all, _gone(net.clients[0]))
	t.equal("the code defaults to a normal end", net.clients[1].close_peer(1), OK)
	t.pump(net.all, _gone(net.clients[1]))
	t.pump(net.all, func() -> bool: return events.size() == 4)
	var ids: Array = net.ids
	t.equal(
		"a server is told why its clients go",
		events,
		["closed %d: 3999 " % ids[0], "-%d" % ids[0], "closed %d: 1000 " % ids[1], "-%d" % ids[1]] as Array[String]
	)
	_retire(net)


func _with_the_built_in_class() -> void:
	t.client_class = Harness.BUILT_IN
	var net := t.connect_net()
	var view: WebSocketPeer = net.clients[0].get_peer(1)
	net.server.close_peer(net.ids[0], 4001, "Banned é")
	t.pump(net.all, _gone(net.clients[0]))
	t.equal(
		"the built-in client sees code and reason", [view.get_close_code(), view.get_close_reason()], [4001, "Banned é"]
	)
	_retire(net)
	# That class closes without a close frame, unless it is asked to disconnect.
	for way: String in ["close", "disconnect_peer"]:
		net = t.connect_net()
		var events := _record(net.server)
		if way == "close":
			net.clients[0].close()
		else:
			net.clients[0].disconnect_peer(1)
		t.pump(net.all, func() -> bool: return events.size() == 2)
		var start := "closed %d: %d" % [net.ids[0], 1006 if way == "close" else 1000]
		t.check("the end of a built-in client by %s" % way, events[0].begins_with(start), events)
		_retire(net)
	t.client_class = t.peer_class
	t.server_class = Harness.BUILT_IN
	net = t.connect_net()
	var events := _record(net.clients[0])
	net.server.get_peer(net.ids[0]).close(4007, "kicked")
	t.pump(net.all, _gone(net.clients[0]))
	t.equal("a built-in server's code and reason", events, ["closed 1: 4007 kicked", "-1"] as Array[String])
	_retire(net)
	net = t.connect_net()
	view = net.server.get_peer(net.ids[0])
	net.clients[0].close_peer(1, 4002, "going to bed")
	t.pump(net.all, func() -> bool: return view.get_ready_state() == WebSocketPeer.STATE_CLOSED)
	t.equal(
		"the built-in server sees code and reason",
		[view.get_close_code(), view.get_close_reason()],
		[4002, "going to bed"]
	)
	_retire(net)
	t.server_class = t.peer_class


func _codes_that_must_not_be_sent() -> void:
	var net := t.connect_net()
	var events := _record(net.server)
	t.expect_error("close_peer: ")
	for code: int in [-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000]:
		t.equal("code %d is refused" % code, net.server.close_peer(net.ids[0], code), ERR_INVALID_PARAMETER)
	t.equal("an unknown id is refused", net.server.close_peer(7, 1000), ERR_INVALID_PARAMETER)
	t.equal("on an idle peer, too", t.new_server().close_peer(1), ERR_INVALID_PARAMETER)
	t.spin(net.all)
	t.equal("and nobody is closed", [events, t.talks(net)], [[] as Array[String], true])
	net.server.close_peer(net.ids[0], 1000, "é".repeat(100))
	t.pump(net.all, _gone(net.clients[0]))
	t.equal("a long reason is cut at a character", events[0], "closed %d: 1000 %s" % [net.ids[0], "é".repeat(61)])
	_retire(net)


func _what_a_bare_client_sends() -> void:
	var server := t.new_server()
	server.create_server(0, "127.0.0.1")
	var events := _record(server)
	for case: Array in [
		["no code", Raw.CLOSE, PackedByteArray(), "1005 "],
		["an end without a close frame", -1, PackedByteArray(), "1006 the connection was ended"],
		["a reason with a zero", Raw.CLOSE, PackedByteArray([0x0f, 0xa0, 65, 0, 66]), "4000 A"],
		["a code that must not be sent", Raw.CLOSE, PackedByteArray([3, 237]), "1002 "],
		["a control frame in pieces", Raw.PING, PackedByteArray(), "1002 "],
	]:
		var raw := Raw.join(server.get_local_port(), [server])
		events.clear()
		if case[1] == -1:
			raw.tcp.disconnect_from_host()
		else:
			raw.send_frame(case[1], case[2], case[1] == Raw.CLOSE)
		t.pump([server], func() -> bool: return events.size() == 2)
		var id := events[1].trim_prefix("-")
		t.check("a bare client: %s" % case[0], events[0].begins_with("closed %s: %s" % [id, case[3]]), events)
		var failed: bool = case[3].begins_with("1006") or case[3].begins_with("1002")
		t.equal("a bare client: %s: clean" % case[0], events[0].ends_with("(unclean)"), failed)
	t.retire([server])


func _ends_without_a_signal() -> void:
	var net := t.connect_net(2)
	var events := _record(net.server)
	var client_events := _record(net.clients[1])
	net.server.disconnect_peer(net.ids[0], true)
	t.spin(net.all)
	t.equal("who is forced out is not told of", events, [] as Array[String])
	net.server.close()
	t.pump([net.clients[1]], _gone(net.clients[1]))
	t.equal("close() has no signals", events, [] as Array[String])
	t.equal("but for the others", client_events, ["closed 1: 1001 ", "-1"] as Array[String])
	_retire(net)


func _in_handlers() -> void:
	for deed: String in ["asks", "closes", "forces the peer out", "begins anew"]:
		var net := t.connect_net()
		var server: MultiplayerPeer = net.server
		var id: int = net.ids[0]
		var seen := []
		var port: int = net.port
		server.peer_closed.connect(
			func(gone: int, _code: int, _reason: String, _clean: bool) -> void:
				seen.append(server.get_peer(gone) != null)
				match deed:
					"closes":
						server.close()
					"forces the peer out":
						server.disconnect_peer(gone, true)
					"begins anew":
						server.close()
						seen.append(server.create_server(port, "127.0.0.1"))
		)
		var events := t.record(server)
		net.clients[0].close_peer(1, 4000)
		t.pump(net.all, func() -> bool: return not seen.is_empty())
		t.spin([server])
		t.equal(
			"a handler of peer_closed %s" % deed,
			[seen, events],
			[
				[true, OK] if deed == "begins anew" else [true],
				["-%d" % id] as Array[String] if deed == "asks" else [] as Array[String]
			]
		)
		_retire(net)


func _a_handler_drops_the_peer() -> void:
	var net := t.connect_net()
	var held := [net.server]
	var called := [0]
	net.server.peer_closed.connect(
		func(_id: int, _code: int, _reason: String, _clean: bool) -> void:
			called[0] += 1
			held.clear()
			net.erase("server")
			net.all.remove_at(0)
	)
	net.clients[0].close_peer(1, 4000)
	net.clients[0].poll()
	t.settle()
	held[0].poll()
	t.equal("a handler of peer_closed drops the peer", called[0], 1)
	t.retire(net.clients)
