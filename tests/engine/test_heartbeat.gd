extends SceneTree
## Who is still there: pings of a server and of a client, round-trip times, and peers that are dead but for their kernel.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const INTERVAL := 0.1
const TIMEOUT := 0.6

var t := Harness.new()


func _initialize() -> void:
	await process_frame
	t.begin(self, 40.0)
	if not t.ready():
		return
	_settings()
	_answered(t.peer_class)
	_answered(Harness.BUILT_IN)
	_a_bare_client()
	_a_game_that_stands_still()
	_a_client_pings(t.peer_class)
	_a_client_pings(Harness.BUILT_IN)
	_a_client_loses_its_server()
	_a_process_that_is_stopped()
	t.finish()


func _fast(peer: MultiplayerPeer, is_server: bool) -> void:
	if is_server or peer.get_class() != Harness.BUILT_IN:
		peer.heartbeat_interval = INTERVAL
		peer.heartbeat_timeout = TIMEOUT


## What peer_closed has told: [id, code, reason, was_clean] each.
func _ends(peer: MultiplayerPeer) -> Array:
	var ends := []
	peer.peer_closed.connect(
		func(id: int, code: int, reason: String, was_clean: bool) -> void: ends.append([id, code, reason, was_clean])
	)
	return ends


func _retire(peers: Array) -> void:
	for peer: MultiplayerPeer in peers:
		for connection in peer.get_signal_connection_list("peer_closed"):
			peer.disconnect("peer_closed", connection.callable)
	t.retire(peers)


func _settings() -> void:
	var peer := t.new_server()
	t.equal(
		"defaults", [peer.heartbeat_interval, peer.heartbeat_timeout, peer.heartbeat_on_client], [20.0, 60.0, false]
	)
	for property: String in ["heartbeat_interval", "heartbeat_timeout"]:
		t.expect_error("%s: the time must be 0 seconds or more" % property)
		var before: float = peer.get(property)
		for bad: float in [-0.1, NAN, INF]:
			peer.set(property, bad)
		t.equal("%s cannot be negative" % property, peer.get(property), before)
		peer.set(property, 0.0)
		t.equal("%s can be off" % property, peer.get(property), 0.0)
	t.expect_error("get_peer_rtt: no peer with the id 7")
	t.expect_error("get_peer_jitter: no peer with the id 7")
	t.equal("nobody's times", [peer.get_peer_rtt(7), peer.get_peer_jitter(7)], [-1.0, -1.0])


func _answered(client_class: String) -> void:
	t.client_class = client_class
	var net := t.connect_net(1, _fast)
	var id: int = net.ids[0]
	var ends := _ends(net.server)
	t.equal("%s: not known yet" % client_class, [net.server.get_peer_rtt(id), net.server.get_peer_jitter(id)], [-1.0, -1.0])
	var known := t.pump(net.all, func() -> bool: return net.server.get_peer_rtt(id) >= 0.0)
	t.check("%s answers" % client_class, known and net.server.get_peer_jitter(id) >= 0.0, net.server.get_peer_rtt(id))
	t.check("%s: a time on loopback" % client_class, net.server.get_peer_rtt(id) < 1.0, net.server.get_peer_rtt(id))
	t.equal("%s: the same in its numbers" % client_class, net.server.get_peer_stats(id).rtt, net.server.get_peer_rtt(id))
	t.spin(net.all, int(TIMEOUT * 2500.0))
	t.equal("%s stays" % client_class, [ends, t.talks(net)], [[], true])
	_retire([net.server])
	t.client_class = t.peer_class
	t.close_net(net)


func _a_bare_client() -> void:
	var server := t.new_server()
	_fast(server, true)
	server.create_server(0, "127.0.0.1")
	var ends := _ends(server)
	var raw := Raw.join(server.get_local_port(), [server])
	var ping := raw.read_frame([server])
	t.equal("a ping has a number", [ping.get("op"), ping.get("payload", PackedByteArray()).size()], [Raw.PING, 8])
	var id: int = server.get_peer_ids()[0]
	raw.send_frame(Raw.PONG, PackedByteArray([1, 2, 3, 4, 5, 6, 7, 8]))
	t.spin([server], 50)
	t.equal("a pong that answers nothing measures nothing", server.get_peer_rtt(id), -1.0)
	# It lives, but answers no pings.
	for i in 10:
		raw.send_frame(Raw.BINARY, PackedByteArray([i]))
		t.spin([server], int(TIMEOUT * 300.0))
	t.equal("who plays and answers no pings stays", ends, [])
	t.check("who says nothing goes", t.pump([server], func() -> bool: return not ends.is_empty(), 5000))
	t.check("with a cause", str(ends[0][2]).contains("heartbeat"), ends)
	t.equal("and code 1006", [ends[0][0], ends[0][1], ends[0][3]], [id, 1006, false])
	t.check("its connection is ended", raw.wait_closed([server]))
	# Off.
	server.heartbeat_interval = 0.0
	raw = Raw.join(server.get_local_port(), [server])
	t.spin([server], int(TIMEOUT * 2000.0))
	raw.poll()
	t.equal("without an interval there are no pings", [raw.inbox.size(), ends.size()], [0, 1])
	_retire([server])


## Nobody polls for longer than the timeout: this process is paused, with its clients or alone.
func _a_game_that_stands_still() -> void:
	t.client_class = Harness.BUILT_IN
	var net := t.connect_net(2, _fast)
	var ends := _ends(net.server)
	for i in 3:
		t.spin(net.all, 150)
		t.settle(int(TIMEOUT * 2000.0))
	t.spin(net.all, 150)
	t.equal("a game that stands still loses nobody", [ends, t.talks(net, 0), t.talks(net, 1)], [[], true, true])
	_retire([net.server])
	t.client_class = t.peer_class
	t.close_net(net)


func _a_client_pings(server_class: String) -> void:
	t.server_class = server_class
	var set_up := func(peer: MultiplayerPeer, is_server: bool) -> void:
		if not is_server:
			_fast(peer, false)
			peer.heartbeat_on_client = true
	var net := t.connect_net(1, set_up)
	var client: MultiplayerPeer = net.clients[0]
	t.check(
		"a client of %s knows how far it is" % server_class,
		t.pump(net.all, func() -> bool: return client.get_peer_rtt(1) >= 0.0),
		client.get_peer_rtt(1)
	)
	t.server_class = t.peer_class
	t.close_net(net)


func _a_client_loses_its_server() -> void:
	var listener := TCPServer.new()
	listener.listen(0, "127.0.0.1")
	for on_client: bool in [true, false]:
		var client := t.new_client()
		_fast(client, false)
		client.heartbeat_on_client = on_client
		client.create_client(t.url(listener.get_local_port()))
		var raw := Raw.serve(listener, [client])
		t.pump([client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
		var noticed := t.pump(
			[client],
			func() -> bool: return client.get_connection_status() == Harness.DISCONNECTED,
			5000 if on_client else int(TIMEOUT * 2000.0)
		)
		t.equal("a client with heartbeats %s notices" % on_client, noticed, on_client)
		t.equal("heartbeats %s: the error" % on_client, client.get_connection_error().get("phase"), "open" if on_client else null)
		t.check("heartbeats %s: it was not the server" % on_client, raw.tcp != null)
		client.close()


## Another process is stopped as by a debugger or a phone that sleeps: its kernel still acknowledges everything.
func _a_process_that_is_stopped() -> void:
	if OS.execute("kill", ["-0", str(OS.get_process_id())]) != OK:
		print("SKIP a process that is stopped: there is no kill")
		return
	var server := t.new_server()
	server.heartbeat_interval = INTERVAL
	# The other process has to get its turn, however busy the machine is.
	server.heartbeat_timeout = TIMEOUT * 5.0
	server.create_server(0, "127.0.0.1")
	var ends := _ends(server)
	var script := ProjectSettings.globalize_path("res://support/quiet_client.gd")
	var project := ProjectSettings.globalize_path("res://")
	var command := _engine()
	command.append_array(["--headless", "--path", project, "--script", script, "--", str(server.get_local_port())])
	var pid := OS.create_process(command[0], command.slice(1))
	t.check("another process joins", t.pump([server], func() -> bool: return server.get_peer_ids().size() == 1, 15000))
	t.spin([server], int(TIMEOUT * 6000.0))
	t.equal("and stays, quiet as it is", ends, [])
	OS.execute("kill", ["-STOP", str(pid)])
	t.check("it is stopped and goes", t.pump([server], func() -> bool: return not ends.is_empty(), 10000))
	t.equal("with code 1006", ends.map(func(end: Array) -> Array: return [end[1], end[3]]), [[1006, false]])
	OS.kill(pid)
	_retire([server])


## The command that this engine was started with: it may be that of a loader.
func _engine() -> PackedStringArray:
	var file := FileAccess.open("/proc/self/cmdline", FileAccess.READ)
	if file == null:
		return [OS.get_executable_path()]
	var line := file.get_buffer(65536)
	for i in line.size():
		if line[i] == 0:
			line[i] = 10
	var words := line.get_string_from_utf8().split("\n")
	return words.slice(0, words.find("--path"))
