extends SceneTree
## What can never work is refused when it is asked for, with one line that says why, and changes nothing.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	_servers()
	_clients()
	_sides()
	t.finish()


func _servers() -> void:
	var key := tls.key("good")
	var certificate := tls.certificate("good")
	var public := CryptoKey.new()
	public.load_from_string(key.save_to_string(true), true)
	var made := tls.made()
	var missing := tls.path("no_such_file.pem")
	var good := TLSOptions.server(key, certificate)
	# [what, options, chain, key, word]
	for case: Array in [
		["no key", TLSOptions.server(null, certificate), "", "", "no private key"],
		["no certificate", TLSOptions.server(key, null), "", "", "no certificate"],
		["neither", TLSOptions.server(null, null), "", "", "no certificate"],
		["an empty key", TLSOptions.server(CryptoKey.new(), certificate), "", "", "key"],
		["an empty certificate", TLSOptions.server(key, X509Certificate.new()), "", "", "no certificate"],
		["only a public key", TLSOptions.server(public, certificate), "", "", "no private key"],
		["another's key", TLSOptions.server(tls.key("unknown"), certificate), "", "", "does not belong"],
		["another's RSA key", TLSOptions.server(made.key, certificate), "", "", "does not belong"],
		["an EC key for an RSA certificate", TLSOptions.server(key, made.certificate), "", "", "does not belong"],
		["a chain without a key", null, tls.text("good.crt"), "", "no private key"],
		["a key without a chain", null, "", tls.text("good.key"), "no certificate"],
		["a chain for another key", good, tls.text("unknown.crt"), "", "does not belong"],
		["a key for another chain", good, "", tls.text("unknown.key"), "does not belong"],
		["a chain that is not there", good, missing, "", "cannot read the file"],
		["a key that is not there", good, "", missing, "cannot read the file"],
		["a chain file without certificates", good, tls.path("good.key"), "", "no certificate"],
		["a key file without keys", good, "", tls.path("good.crt"), "no private key"],
		["a chain that is cut", good, tls.text("good.crt").left(300), "", "no certificate"],
		["a chain of nonsense", good, _block("CERTIFICATE", "bm9uc2Vuc2U="), "", "certificate cannot be used"],
		["a key of nonsense", good, "", _block("PRIVATE KEY", "bm9uc2Vuc2U="), "key cannot be used"],
		["a key that is not base64", good, "", _block("PRIVATE KEY", "!?"), "key cannot be used"],
	]:
		var server := t.new_server()
		server.set(&"tls_certificate_chain", case[2])
		server.set(&"tls_private_key", case[3])
		_refused("create_server, %s" % case[0], case[4], server, "create_server", [0, "127.0.0.1", case[1]])
		_works_after_it(server, case[0])
		var plain: Object = ClassDB.instantiate("MioWebSocketServer")
		plain.set(&"tls_certificate_chain", case[2])
		plain.set(&"tls_private_key", case[3])
		_refused("listen, %s" % case[0], case[4], plain, "listen", [0, "127.0.0.1", case[1]])
		t.equal("listen, %s: it does not listen" % case[0], plain.call(&"is_listening"), false)


func _clients() -> void:
	for case: Array in [
		["an empty certificate", TLSOptions.client(X509Certificate.new()), "", "no certificate"],
		["an empty certificate, unsafe", TLSOptions.client_unsafe(X509Certificate.new()), "", "no certificate"],
		["a bundle that is not there", null, tls.path("no_such_file.crt"), "cannot read the file"],
		["a bundle without certificates", null, tls.path("good.key"), "no certificate"],
		["a bundle of nonsense", null, _block("CERTIFICATE", "!?"), "certificate cannot be used"],
	]:
		var client := t.new_client()
		client.set(&"tls_ca_bundle", case[2])
		_refused("create_client, %s" % case[0], case[3], client, "create_client", ["wss://localhost:1", case[1]])
		client.set(&"tls_ca_bundle", "")
		t.equal("create_client works after %s" % case[0], client.create_client("wss://localhost:1"), OK)
		client.close()
		var peer: Object = ClassDB.instantiate("MioWebSocketPeer")
		peer.set(&"tls_ca_bundle", case[2])
		_refused("connect_to_url, %s" % case[0], case[3], peer, "connect_to_url", ["wss://localhost:1", case[1]])
		t.equal("it stays closed", peer.call(&"get_ready_state"), WebSocketPeer.STATE_CLOSED)


## Options of the other side.
func _sides() -> void:
	_refused("create_server", "other side", t.new_server(), "create_server", [0, "*", TLSOptions.client()])
	_refused("create_client", "other side", t.new_client(), "create_client", ["wss://localhost:1", tls.server("good")])
	var server: Object = ClassDB.instantiate("MioWebSocketServer")
	_refused("listen", "other side", server, "listen", [0, "*", TLSOptions.client_unsafe()])
	var peer: Object = ClassDB.instantiate("MioWebSocketPeer")
	_refused("connect_to_url", "of a server", peer, "connect_to_url", ["wss://localhost:1", tls.server("good")])


func _refused(title: String, word: String, object: Object, call: StringName, arguments: Array) -> void:
	t.expect_error("Mio WebSocket: %s: " % call)
	var counter := ErrorCounter.start()
	var code: Error = object.callv(call, arguments)
	counter.stop()
	var lines := Tls.own_lines(counter.lines)
	t.equal("%s: the result" % title, code, ERR_INVALID_PARAMETER)
	t.check("%s: one line says %s" % [title, word], lines.size() == 1 and lines[0].contains(word), lines)
	if object is MultiplayerPeer:
		t.equal("%s: the status" % title, object.get_connection_status(), Harness.DISCONNECTED)


func _works_after_it(server: MultiplayerPeer, what: String) -> void:
	server.set(&"tls_certificate_chain", "")
	server.set(&"tls_private_key", "")
	var port := t.free_port()
	var error: Error = server.create_server(port, "127.0.0.1", tls.server("good"))
	var client := t.new_client()
	client.create_client(tls.url(port, "localhost"), TLSOptions.client(tls.certificate("root")))
	t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING)
	t.equal(
		"create_server works after %s" % what, [error, client.get_connection_status()], [OK, Harness.CONNECTED]
	)
	t.retire([client, server])


func _block(label: String, content: String) -> String:
	return "-----BEGIN %s-----\n%s\n-----END %s-----\n" % [label, content, label]
