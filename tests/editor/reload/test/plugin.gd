@tool
extends EditorPlugin
## The library is replaced and loaded anew, as it is while somebody works on it, with everything in use.

const Harness := preload("res://support/harness.gd")
const Raw := preload("res://support/raw.gd")

const EXTENSION := "res://addons/mio_websocket/mio_websocket.gdextension"
const MULTIPLAYER := "MioWebSocketMultiplayerPeer"
const SOCKET := "MioWebSocketPeer"
const SERVER := "MioWebSocketServer"
const LOOPBACK := "127.0.0.1"
## Part of the file that is put into memory.
const ELF_LOAD := 1
const MORE_MEMORY := 1 << 24

var t := Harness.new()
## Signals of all peers that `_recorded` made, as text.
var _events := PackedStringArray()


func _enter_tree() -> void:
	# Not while the project is imported.
	if OS.get_cmdline_user_args().has("test"):
		_run.call_deferred()


func _run() -> void:
	t.begin(get_tree(), 100.0)
	if not t.ready():
		return
	t.check("this is an editor", Engine.is_editor_hint())
	while EditorInterface.get_resource_filesystem().is_scanning():
		await get_tree().process_frame
	for is_secure: bool in [false, true]:
		await _sessions(is_secure)
	_sockets()
	_watched()
	await _unfinished()
	await _undecided_and_watched()
	_high_level()
	await _dropped_in_a_handler()
	await _asked_for_in_a_handler()
	_again_and_again()
	t.finish()


## A server and clients that play, with a flush that waits for the end of the frame.
func _sessions(is_secure: bool) -> void:
	var name := "wss" if is_secure else "ws"
	var before := _descriptors()
	var options := _options() if is_secure else {}
	var server := _recorded("server")
	server.inbound_buffer_size = 100_000
	server.create_server(0, LOOPBACK, options.get("server"))
	var port: int = server.get_local_port()
	var address := "%s://127.0.0.1:%d" % [name, port]
	var clients: Array[MultiplayerPeer] = []
	for i in 2:
		clients.append(_recorded("client"))
		clients[i].create_client(address, options.get("client"))
	var all: Array = [server] + clients
	t.check("%s: clients connect" % name, t.pump(all, _are_connected.bind(clients)))
	t.pump(all, func() -> bool: return _count("server +") == 2)
	var views: Array = [server.get_peer(clients[0].get_unique_id()), clients[0].get_peer(1)]
	# Half a packet, and whole ones that nobody takes.
	var raw: Raw = null if is_secure else Raw.join(port, all)
	if raw != null:
		raw.send(raw.make(Raw.BINARY, t.bytes(10)) + raw.make(Raw.BINARY, t.bytes(2000)).slice(0, 1000))
	server.set_target_peer(0)
	server.put_packet(t.bytes(10))
	clients[1].put_packet(t.bytes(10))
	t.spin(all, 20)

	# Polled once in a frame, a peer collects what it sends afterwards.
	await get_tree().process_frame
	for each: MultiplayerPeer in all:
		each.poll()
	server.set_target_peer(0)
	for each: MultiplayerPeer in all:
		each.put_packet(PackedByteArray([7]))
	_events.clear()
	_reload(name)
	t.equal("%s: those who were there have begun anew" % name, _states(all), [0, 0, 0])
	t.equal("%s: with their settings" % name, [server.inbound_buffer_size, server.get_local_port()], [100000, 0])
	t.equal("%s: views are closed" % name, [views[0].get_ready_state(), views[1].get_ready_state()], [3, 3])
	if raw != null:
		var got := [raw.read_frame([]), raw.read_frame([])]
		t.equal("what was sent left before the end", [got[0].payload.size(), got[1].payload.size()], [10, 1])
		t.equal("and the end was said", raw.read_close([]), 1001)
		raw = null
	t.equal("%s: no descriptor is left" % name, _descriptors(), before)
	for each: Object in all + views:
		each.poll()
	# The flush that waited comes.
	await get_tree().process_frame
	await get_tree().process_frame
	t.equal("%s: nobody hears of it" % name, _events, PackedStringArray())

	t.equal("%s: the port is free" % name, server.create_server(port, LOOPBACK, options.get("server")), OK)
	clients[1] = _recorded("client")
	all[2] = clients[1]
	for client in clients:
		client.create_client(address, options.get("client"))
	t.check("%s: old and new ones connect" % name, t.pump(all, _are_connected.bind(clients)))
	t.pump(all, func() -> bool: return _count("server +") == 2)
	t.equal("%s: and are signalled once" % name, [_count("server +"), _count("client +")], [2, 2])
	clients[0].put_packet(PackedByteArray([1, 2]))
	t.check("%s: packets arrive" % name, t.pump(all, func() -> bool: return server.get_available_packet_count() > 0))
	t.equal("%s: whole" % name, server.get_packet(), PackedByteArray([1, 2]))
	t.retire(all)
	all.clear()


## A server with monitors and a status endpoint.
func _watched() -> void:
	var server: MultiplayerPeer = ClassDB.instantiate(MULTIPLAYER)
	server.create_server(0, LOOPBACK)
	server.create_status_endpoint(0, LOOPBACK)
	server.monitors_enabled = true
	var count := _monitors().size()
	t.check("there are monitors", count > 0)
	_reload("watched")
	t.equal("no monitor is left", _monitors(), [])
	t.equal("and no endpoint", [server.monitors_enabled, server.get_status_endpoint_port()], [true, 0])
	server.create_server(0, LOOPBACK)
	server.monitors_enabled = true
	t.equal("there are as many again", _monitors().size(), count)
	for name: StringName in _monitors():
		t.check("%s can be asked" % name, Performance.get_custom_monitor(name) is float)
	server.close()


func _monitors() -> Array:
	var names := Array(Performance.get_custom_monitor_names())
	return names.filter(func(name: StringName) -> bool: return name.begins_with("Mio WebSocket"))


## Peers by themselves, over sockets of ours and of the engine's, and their server.
func _sockets() -> void:
	var before := _descriptors()
	var server: Object = ClassDB.instantiate(SERVER)
	server.listen(0, LOOPBACK)
	var port: int = server.get_local_port()
	var clients := [ClassDB.instantiate(SOCKET), ClassDB.instantiate(SOCKET)]
	for client: Object in clients:
		client.connect_to_url(t.url(port))
	var open := func() -> bool:
		server.is_connection_available()
		return clients.all(func(client: Object) -> bool: return client.get_ready_state() == 1)
	t.check("sockets open", t.pump(clients, open))
	# One of them is not taken.
	var taken: Object = server.take_connection()
	var listener := TCPServer.new()
	listener.listen(0, LOOPBACK)
	var guest: Object = ClassDB.instantiate(SOCKET)
	guest.connect_to_url(t.url(listener.get_local_port()))
	t.pump([guest], listener.is_connection_available)
	var foreign: Object = ClassDB.instantiate(SOCKET)
	foreign.accept_stream(listener.take_connection())
	t.pump([guest, foreign], func() -> bool: return guest.get_ready_state() == 1)
	var all: Array = clients + [taken, guest, foreign]
	for each: Object in all:
		each.send_text("not taken")
	_reload("sockets")
	var states := all.map(func(each: Object) -> int: return each.get_ready_state())
	t.equal("sockets: they are closed", [states, server.is_listening()], [[3, 3, 3, 3, 3], false])
	listener = null
	t.equal("sockets: no descriptor is left", _descriptors(), before)
	for each: Object in all:
		each.poll()

	t.equal("sockets: the port is free", server.listen(port, LOOPBACK), OK)
	taken.connect_to_url(t.url(port))
	var available: Callable = server.is_connection_available
	t.check("sockets: what the server gave dials now", t.pump([taken], available))
	var other: Object = server.take_connection()
	t.pump([taken, other], func() -> bool: return taken.get_ready_state() == 1)
	taken.send_text("again")
	t.pump([taken, other], func() -> bool: return other.get_available_packet_count() > 0)
	t.equal("sockets: messages arrive", other.get_packet().get_string_from_utf8(), "again")


## Connections on their way.
func _unfinished() -> void:
	var before := _descriptors()
	var listener := TCPServer.new()
	listener.listen(0, LOOPBACK)
	var port := listener.get_local_port()
	var all: Array[MultiplayerPeer] = []
	for address: String in ["ws://127.0.0.1:%d", "wss://127.0.0.1:%d", "ws://localhost:%d", "ws://no-such-host.invalid:%d"]:
		all.append(_recorded("client"))
		all[-1].create_client(address % port)
	var server := _recorded("server")
	server.create_server(0, LOOPBACK)
	var silent := Raw.dial(server.get_local_port(), [server])
	var slow := Raw.dial(server.get_local_port(), [server])
	slow.send_text("GET / HT")
	t.spin([server, all[0], all[1]], 20)
	# The names are being looked for.
	all[2].poll()
	all[3].poll()
	_reload("unfinished")
	t.equal("unfinished: nobody connects any more", _states(all), [0, 0, 0, 0])
	t.check("unfinished: newcomers are told", silent.wait_closed([]) and slow.wait_closed([]))
	listener = null
	silent = null
	slow = null
	t.spin(all + [server], 20)
	# The last reference to the engine's own connections may be in a queue of its.
	await get_tree().process_frame
	t.equal("unfinished: no descriptor is left", _descriptors(), before)


## With a request that nobody has answered, and what tells of the server.
func _undecided_and_watched() -> void:
	var before := _descriptors()
	var server := _recorded("server")
	var requests := []
	server.admission_callback = requests.append
	server.monitors_enabled = true
	server.create_server(0, LOOPBACK)
	t.equal("a status endpoint is there", server.create_status_endpoint(0), OK)
	var monitor := &"Mio WebSocket/peers"
	t.check("monitors are there", Performance.has_custom_monitor(monitor))
	var client := _recorded("client")
	client.create_client(t.url(server.get_local_port()))
	t.check("somebody asks", t.pump([server, client], func() -> bool: return requests.size() == 1))
	_reload("undecided")
	t.check("undecided: monitors are gone", not Performance.has_custom_monitor(monitor))
	var request: Object = requests[0]
	t.equal("undecided: nothing is left to answer", [request.is_pending(), request.get_path()], [false, ""])
	t.check("undecided: an answer is refused", request.accept() != OK)
	t.equal("undecided: the endpoint is gone", server.get_status_endpoint_port(), 0)
	t.equal("undecided: no descriptor is left", _descriptors(), before)
	t.retire([server, client])
	await get_tree().process_frame


## Behind the engine's API.
func _high_level() -> void:
	var server := _recorded("server")
	server.create_server(0, LOOPBACK)
	var client := _recorded("client")
	client.create_client(t.url(server.get_local_port()))
	var apis: Array[SceneMultiplayer] = [SceneMultiplayer.new(), SceneMultiplayer.new()]
	for i in 2:
		apis[i].root_path = ^"/root"
		apis[i].multiplayer_peer = [server, client][i]
	var gone := [0]
	apis[1].server_disconnected.connect(func() -> void: gone[0] += 1)
	t.check("a session is up", t.pump(apis, func() -> bool: return apis[0].get_peers().size() == 1))
	apis[1].send_bytes(PackedByteArray([1]))
	_reload("a session")
	t.spin(apis, 20)
	t.equal("a session: it is over", [gone[0], apis[1].get_peers().size(), apis[0].get_peers().size()], [1, 0, 0])
	for i in 2:
		apis[i].multiplayer_peer = null
	t.retire([server, client])


## A peer whose last reference goes in a handler keeps itself until the end of the frame, which must not need the old
## library.
func _dropped_in_a_handler() -> void:
	# The engine's API asks once more.
	t.expect_error("No multiplayer peer is assigned")
	for event: StringName in [&"peer_connected", &"peer_disconnected"]:
		var api := SceneMultiplayer.new()
		api.root_path = ^"/root"
		var client := _recorded("client")
		var weak := _serve(api, client, event)
		if event == &"peer_disconnected":
			t.pump([api, client], func() -> bool: return api.get_peers().size() == 1)
			client.close()
		var is_dropped := func() -> bool: return api.multiplayer_peer == null
		t.check("it is dropped in %s" % event, t.pump([api, client], is_dropped))
		t.check("dropped in %s: it is still there" % event, weak.get_ref() != null)
		_reload("dropped in %s" % event)
		await get_tree().process_frame
		await get_tree().process_frame
		t.check("dropped in %s: it is gone" % event, weak.get_ref() == null)
		t.retire([client])


## A server that `api` alone knows and that is dropped at `event`. In a function of its own, whose temporaries are gone
## afterwards.
func _serve(api: SceneMultiplayer, client: MultiplayerPeer, event: StringName) -> WeakRef:
	var server: MultiplayerPeer = ClassDB.instantiate(MULTIPLAYER)
	server.create_server(0, LOOPBACK)
	client.create_client(t.url(server.get_local_port()))
	server.connect(event, func(_id: int) -> void: api.multiplayer_peer = null)
	api.multiplayer_peer = server
	return weakref(server)


## Code cannot be unloaded while it runs. A handler asks for it to be done afterwards.
func _asked_for_in_a_handler() -> void:
	var server := _recorded("server")
	server.create_server(0, LOOPBACK)
	var client := _recorded("client")
	client.create_client(t.url(server.get_local_port()))
	server.peer_connected.connect(func(_id: int) -> void: _reload.call_deferred("a handler"), CONNECT_ONE_SHOT)
	t.check("a handler asks for it", t.pump([server, client], _are_connected.bind([client])))
	await get_tree().process_frame
	await get_tree().process_frame
	t.equal("a handler: it was done", _states([server, client]), [0, 0])
	t.retire([server, client])


func _again_and_again() -> void:
	var peer := _recorded("server")
	_reload("once more")
	var before := [_descriptors(), _libraries()]
	for i in 3:
		t.equal("it listens", peer.create_server(0, LOOPBACK), OK)
		_reload("and once more")
	t.equal("again and again: nothing is left", [_descriptors(), _libraries()], before)


func _reload(name: String) -> void:
	_replace_library()
	var reloaded := GDExtensionManager.reload_extension(EXTENSION)
	t.equal("%s: the library is loaded anew" % name, reloaded, GDExtensionManager.LOAD_STATUS_OK)


## Another file in place of the library, as a compiler leaves it. It comes to lie elsewhere in memory, as one does that has
## been changed, because it asks for more: what still points into the old one then points to nothing.
func _replace_library() -> void:
	var folder := EXTENSION.get_base_dir() + "/bin/"
	for file in DirAccess.get_files_at(folder):
		var library := FileAccess.get_file_as_bytes(folder + file)
		var headers := library.decode_u64(0x20)
		var last := -1
		for i in library.decode_u16(0x38):
			var header := headers + i * library.decode_u16(0x36)
			if library.decode_u32(header) == ELF_LOAD:
				last = header
		library.encode_u64(last + 0x28, library.decode_u64(last + 0x28) + MORE_MEMORY)
		FileAccess.open(folder + "new", FileAccess.WRITE).store_buffer(library)
		DirAccess.rename_absolute(folder + "new", folder + file)


func _recorded(label: String) -> MultiplayerPeer:
	var peer: MultiplayerPeer = ClassDB.instantiate(MULTIPLAYER)
	peer.peer_connected.connect(func(id: int) -> void: _events.append("%s +%d" % [label, id]))
	peer.peer_disconnected.connect(func(id: int) -> void: _events.append("%s -%d" % [label, id]))
	return peer


func _count(start: String) -> int:
	return Array(_events).filter(func(event: String) -> bool: return event.begins_with(start)).size()


func _states(peers: Array) -> Array:
	return peers.map(func(peer: MultiplayerPeer) -> int: return peer.get_connection_status())


func _are_connected(peers: Array) -> bool:
	return _states(peers).all(func(state: int) -> bool: return state == Harness.CONNECTED)


func _options() -> Dictionary:
	var crypto := Crypto.new()
	var key := crypto.generate_rsa(2048)
	var certificate := crypto.generate_self_signed_certificate(key, "CN=127.0.0.1")
	return {
		"server": TLSOptions.server(key, certificate),
		"client": TLSOptions.client_unsafe(certificate),
	}


func _descriptors() -> int:
	return DirAccess.get_files_at("/proc/self/fd").size()


## Parts of the library, old and new, that are in memory.
func _libraries() -> int:
	var maps := FileAccess.open("/proc/self/maps", FileAccess.READ)
	var count := 0
	# The file has no length.
	while not maps.eof_reached():
		count += int(maps.get_line().contains("mio_websocket"))
	return count
