extends SceneTree
## Another certificate for a server while a player plays on: asked for, found in the files, refused.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const FOLDER := "user://test_reload_tls"
## The authorities of the two certificates, of which the first is in use at first.
const OLD := "root"
const NEW := "other_root"

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self, 50.0)
	if not t.ready():
		return
	tls = Tls.open(t)
	if tls != null:
		DirAccess.make_dir_recursive_absolute(FOLDER)
		_paths()
		_resources()
		_given_options()
		_objects_without_files()
		_refusals()
		_nothing_to_reload()
		_watched()
		_interval()
	t.finish()


## Players of both classes play on; newcomers, openssl among them, see what is in the files now.
func _paths() -> void:
	var server := _server_of_files()
	var players: Array = [_join(server, OLD), _join(server, OLD, Harness.BUILT_IN)]
	t.equal("openssl sees the first certificate", _seen_by_openssl(server, "good"), "good")
	_write("unknown")
	t.equal("the files are read again", server.reload_tls(), OK)
	t.check("players play on", players.all(_plays.bind(server)))
	t.equal("openssl sees the second", _seen_by_openssl(server, "unknown"), "unknown")
	for name: String in [t.client_class, Harness.BUILT_IN]:
		var newcomer := _join(server, NEW, name)
		t.check("%s gets in with the new authority" % name, _plays(newcomer, server))
		newcomer.close()
	t.check("who trusts only the old one does not", not _gets_in(server, OLD))
	t.check("players play on", players.all(_plays.bind(server)))
	# Their sessions are over when they leave: they have to see the new certificate.
	for player: MultiplayerPeer in players:
		player.close()
	t.check("nobody comes back with an old session", not _gets_in(server, OLD))
	_write("good")
	t.equal("and back", [server.reload_tls(), _gets_in(server, OLD)], [OK, true])
	t.retire(players + [server])


## Options whose objects were loaded from files.
func _resources() -> void:
	# Of its own, because the engine keeps resources by their paths.
	_write("good", "resource")
	var options := TLSOptions.server(load(_path("resource.key")), load(_path("resource.crt")))
	var server := _new_server(options)
	_write("unknown", "resource")
	t.check("an object stays as it was", _gets_in(server, OLD))
	t.equal("their files are read again", [server.reload_tls(), _gets_in(server, NEW)], [OK, true])
	t.retire([server])


func _given_options() -> void:
	var server := _new_server(tls.server("good"))
	var player := _join(server, OLD)
	t.equal("other options", [server.reload_tls(tls.server("unknown")), _gets_in(server, NEW)], [OK, true])
	t.equal("they are kept", [server.reload_tls(), _gets_in(server, NEW)], [OK, true])
	t.check("the player plays on", _plays(player, server))
	# As in create_server, what the properties say comes first.
	_write("good")
	server.tls_certificate_chain = _path("server.crt")
	server.tls_private_key = _path("server.key")
	t.equal("properties", [server.reload_tls(tls.server("unknown")), _gets_in(server, OLD)], [OK, true])
	t.retire([player, server])


func _objects_without_files() -> void:
	var server := _new_server(TLSOptions.server(tls.key("good"), tls.certificate("good")))
	t.equal("an object without a file is read itself", [server.reload_tls(), _gets_in(server, OLD)], [OK, true])
	t.retire([server])


func _refusals() -> void:
	var server := _server_of_files()
	var player := _join(server, OLD)
	var cases := {
		"the private key does not belong to the certificate": ["unknown.crt", "good.key"],
		"there is no certificate": ["good.key", "good.key"],
		"there is no private key": ["good.crt", "good.crt"],
		"cannot read the file": ["", "good.key"],
	}
	for line: String in cases:
		_copy(cases[line][0], "server.crt")
		_copy(cases[line][1], "server.key")
		var counter := ErrorCounter.start()
		t.expect_error("reload_tls: cannot use the tls options: " + line)
		var error: Error = server.reload_tls()
		counter.stop()
		var lines := Tls.own_lines(counter.lines)
		t.equal("refused: " + line, [error, lines.size(), counter.count], [ERR_INVALID_PARAMETER, 1, 1])
		t.check("the one in use stays", _gets_in(server, OLD) and _plays(player, server))
	t.expect_error("reload_tls: the tls options are for the other side")
	t.equal("options of a client", server.reload_tls(TLSOptions.client()), ERR_INVALID_PARAMETER)
	server.tls_certificate_chain = ""
	server.tls_private_key = ""
	t.expect_error("reload_tls: cannot use the tls options: the private key does not belong")
	t.equal("options that do not fit", server.reload_tls(tls.server("unknown", "good")), ERR_INVALID_PARAMETER)
	t.check("and still it stays", _gets_in(server, OLD) and _plays(player, server))
	t.retire([player, server])


func _nothing_to_reload() -> void:
	t.expect_error("reload_tls: the peer is not connected")
	t.expect_error("reload_tls: the server does not speak tls")
	var peer := t.new_server()
	t.equal("without a session", peer.reload_tls(tls.server("good")), ERR_UNCONFIGURED)
	peer.create_server(0, "127.0.0.1")
	t.equal("without TLS", peer.reload_tls(tls.server("good")), ERR_UNCONFIGURED)
	var client := t.new_client()
	client.create_client(t.url(peer.get_local_port()))
	t.equal("on a client", client.reload_tls(), ERR_UNCONFIGURED)
	t.retire([client, peer])
	peer.create_server(0, "127.0.0.1", tls.server("good"))
	peer.close()
	t.equal("after a session", peer.reload_tls(), ERR_UNCONFIGURED)


## The files are exchanged below a server that looks at them, as a tool for certificates does it.
func _watched() -> void:
	var server := _server_of_files()
	var player := _join(server, OLD)
	server.tls_reload_interval = 0.05
	var counter := ErrorCounter.start()
	_copy("unknown.crt", "server.crt")
	t.expect_error("tls_reload_interval: the private key does not belong to the certificate; the certificate in use")
	t.check(
		"a certificate whose key stays away is said", t.pump([server, player], func() -> bool: return _said(counter) == 1)
	)
	t.spin([server, player], 300)
	t.equal("once", _said(counter), 1)
	t.check("the one in use stays", _gets_in(server, OLD))
	_copy("unknown.key", "server.key")
	t.check("when the key is there newcomers get it", _gets_in_soon(server, NEW))
	t.check("the player plays on", _plays(player, server))
	server.tls_reload_interval = 0.0
	_write("good")
	t.spin([server, player], 200)
	t.check("0 means never", _gets_in(server, NEW))
	server.tls_reload_interval = 0.05
	DirAccess.remove_absolute(_path("server.key"))
	DirAccess.remove_absolute(_path("server.crt"))
	t.expect_error("cannot read the file")
	t.check("files that are away are said", t.pump([server, player], func() -> bool: return _said(counter) == 2))
	_write("good")
	t.check("and taken when they are back", _gets_in_soon(server, OLD))
	counter.stop()
	t.equal("no other line", _said(counter), 2)
	t.check("the player plays on", _plays(player, server))
	t.retire([player, server])


func _interval() -> void:
	var peer := t.new_server()
	t.equal("no looks by default", peer.tls_reload_interval, 0.0)
	peer.tls_reload_interval = 2.5
	t.expect_error("tls_reload_interval: the time must be 0 seconds or more")
	var counter := ErrorCounter.start()
	for seconds: float in [-1.0, NAN, INF]:
		peer.tls_reload_interval = seconds
	counter.stop()
	t.equal("an interval that cannot be changes nothing", [peer.tls_reload_interval, counter.count], [2.5, 3])
	peer.tls_reload_interval = 0.0
	t.equal("0 is one", peer.tls_reload_interval, 0.0)


## How many lines there are about the files.
func _said(counter: Logger) -> int:
	return Array(counter.lines).filter(func(line: String) -> bool: return line.contains("tls_reload_interval")).size()


func _server_of_files() -> MultiplayerPeer:
	_write("good")
	var server := t.new_server()
	server.tls_certificate_chain = _path("server.crt")
	server.tls_private_key = _path("server.key")
	server.create_server(0, "127.0.0.1")
	return server


func _new_server(options: TLSOptions) -> MultiplayerPeer:
	var server := t.new_server()
	server.create_server(0, "127.0.0.1", options)
	return server


func _path(file: String) -> String:
	return FOLDER.path_join(file)


## Puts a pair of the tests' certificates into the server's files.
func _write(name: String, target := "server") -> void:
	_copy(name + ".crt", target + ".crt")
	_copy(name + ".key", target + ".key")


## Puts one of the tests' files into a file of the server, or nothing, which takes it away.
func _copy(source: String, target: String) -> void:
	if source.is_empty():
		DirAccess.remove_absolute(_path(target))
	else:
		DirAccess.copy_absolute(tls.path(source), ProjectSettings.globalize_path(_path(target)))


func _client(server: MultiplayerPeer, authority: String, name := t.client_class) -> MultiplayerPeer:
	var client: MultiplayerPeer = ClassDB.instantiate(name)
	client.create_client(
		tls.url(server.get_local_port(), "localhost"), TLSOptions.client(tls.certificate(authority))
	)
	t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING, 5000)
	return client


func _join(server: MultiplayerPeer, authority: String, name := t.client_class) -> MultiplayerPeer:
	var client := _client(server, authority, name)
	var in_time := func() -> bool: return server.get_peer_ids().has(client.get_unique_id())
	if not t.pump([server, client], in_time):
		t.check("a client that trusts %s joins" % authority, false, "it does not")
	return client


## Whether a new client that trusts one authority gets in.
func _gets_in(server: MultiplayerPeer, authority: String) -> bool:
	var counter := ErrorCounter.start()
	var client := _client(server, authority)
	var result := client.get_connection_status() == Harness.CONNECTED
	t.retire([client])
	t.spin([server], 5)
	counter.stop()
	if not result:
		# Both sides say why.
		t.expect_error("tls handshake failed")
	return result


func _gets_in_soon(server: MultiplayerPeer, authority: String) -> bool:
	for i in 50:
		if _gets_in(server, authority):
			return true
		t.spin([server], 20)
	return false


func _plays(player: MultiplayerPeer, server: MultiplayerPeer) -> bool:
	return t.talks({"server": server, "clients": [player]})


## The name in the certificate that openssl is shown; `otherwise` where there is no openssl.
func _seen_by_openssl(server: MultiplayerPeer, otherwise: String) -> String:
	if OS.execute("openssl", ["version"]) != OK:
		print("not run: openssl is missing")
		return otherwise
	var file := ProjectSettings.globalize_path(_path("seen"))
	var command := (
		"openssl s_client -connect 127.0.0.1:%d -servername localhost </dev/null 2>&1 | openssl x509 -noout -subject >'%s'"
		% [server.get_local_port(), file]
	)
	var pid := OS.create_process("/bin/sh", ["-c", command])
	t.pump([server], func() -> bool: return not OS.is_process_running(pid), 8000)
	return FileAccess.get_file_as_string(file).get_slice("CN", 1).trim_prefix(" ").trim_prefix("=").strip_edges()
