extends SceneTree
## All certificates of a chain or bundle get where they belong, whichever way they are given. An extension can read
## only the first certificate of a certificate object, so some ways are detours.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

const CHAIN := "via_inter.chain"
const CUT := "only the first certificate"

var t := Harness.new()
var tls: Tls
var trusted: X509Certificate


func _initialize() -> void:
	t.begin(self, 40.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	t.expect_error("TLS handshake error: -9984")
	t.expect_error("unknown issuer")
	t.expect_error("does not know the issuer")
	t.expect_error("cannot read the file")
	trusted = tls.certificate("root")
	# First of all: the warning comes once in the life of the process.
	_object_without_a_file()
	_object_with_a_file()
	_chain_properties()
	_bundle_property()
	_bundle_in_options()
	_changed_file()
	_changed_since_loaded()
	t.finish()


## What the object holds cannot be had, which is said once.
func _object_without_a_file() -> void:
	var counter := ErrorCounter.start()
	for i in 3:
		var server := t.new_server()
		var chain := tls.certificate(CHAIN)
		t.equal("a chain without a file is taken", _listen(server, TLSOptions.server(tls.key("via_inter"), chain)), OK)
		t.retire([server])
	var single := t.new_server()
	_listen(single, TLSOptions.server(tls.key("good"), tls.certificate("good")))
	t.retire([single])
	counter.stop()
	var warnings := Array(counter.lines).filter(func(line: String) -> bool: return line.contains(CUT))
	t.equal("one warning that a chain is cut", [warnings.size(), counter.count], [1, 1])
	t.check(
		"it names the ways out",
		warnings.size() == 1 and warnings[0].contains("load(") and warnings[0].contains("tls_certificate_chain"),
		warnings
	)
	var options := TLSOptions.server(tls.key("via_inter"), tls.certificate(CHAIN))
	_arrives("a chain without a file", options, false)


func _object_with_a_file() -> void:
	_arrives("a chain by load() of an absolute path", TLSOptions.server(tls.key("via_inter"), tls.resource(CHAIN)), true)
	var copy := _copy("via_inter.chain.crt")
	_arrives("a chain by load() of user://", TLSOptions.server(tls.key("via_inter"), load(copy)), true)


func _chain_properties() -> void:
	for by: String in ["text", "absolute path", "user:// path"]:
		for with_options: bool in [false, true]:
			var set_up := func(server: MultiplayerPeer) -> void:
				server.set(&"tls_certificate_chain", _given(by, "via_inter.chain.crt"))
				server.set(&"tls_private_key", _given(by, "via_inter.key"))
			var options: TLSOptions = tls.server("wrong_name") if with_options else null
			var title := "tls_certificate_chain as %s%s" % [by, " over options" if with_options else ""]
			_arrives(title, options, true, set_up)
	var only_chain := func(server: MultiplayerPeer) -> void:
		server.set(&"tls_certificate_chain", tls.text("via_inter.chain.crt"))
	_arrives("tls_certificate_chain with the key of the options", tls.server("via_inter"), true, only_chain)
	var with_noise := func(server: MultiplayerPeer) -> void:
		var blocks := tls.text("via_inter.chain.crt").replace("\n", "\r\n")
		server.set(&"tls_certificate_chain", "Subject: CN=é\r\n" + blocks + "trailing")
		server.set(&"tls_private_key", tls.text("via_inter.key"))
	_arrives("tls_certificate_chain with text around and CRLF", null, true, with_noise)


## Clients of a server that sends its leaf alone need the intermediate from the bundle.
func _bundle_property() -> void:
	for by: String in ["text", "absolute path", "user:// path"]:
		for options: TLSOptions in [null, TLSOptions.client(), TLSOptions.client(tls.certificate("other_root"))]:
			t.check(
				"tls_ca_bundle as %s" % by,
				_joins(tls.server("via_inter"), options, _given(by, "bundle.crt"), "localhost"),
				"it does not join"
			)
	t.check(
		"tls_ca_bundle does not do without the name",
		not _joins(tls.server("good"), null, tls.path("other_root.crt"), "localhost"),
		"it joins"
	)
	var named := TLSOptions.client(null, "other.test")
	t.check(
		"tls_ca_bundle with a name of the options",
		_joins(tls.server("wrong_name"), named, tls.path("roots.crt"), "localhost"),
		"it does not join"
	)
	t.check(
		"tls_ca_bundle with unsafe options checks the issuer",
		not _joins(tls.server("unknown"), TLSOptions.client_unsafe(), tls.path("root.crt"), "localhost"),
		"it joins"
	)
	t.check(
		"tls_ca_bundle with unsafe options does not check the name",
		_joins(tls.server("wrong_name"), TLSOptions.client_unsafe(), tls.path("root.crt"), "localhost"),
		"it does not join"
	)
	var client := t.new_client()
	client.set(&"tls_ca_bundle", tls.path("no_such_file.crt"))
	t.equal(
		"a bundle that is not there",
		[client.create_client("wss://localhost:1"), client.get_connection_status()],
		[ERR_INVALID_PARAMETER, Harness.DISCONNECTED]
	)
	t.equal("it does not matter without TLS", client.create_client(t.url(t.free_port())), OK)
	t.retire([client])
	var peer: Object = ClassDB.instantiate("MioWebSocketPeer")
	peer.set(&"tls_ca_bundle", tls.text("bundle.crt"))
	var server := t.new_server()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1", tls.server("via_inter"))
	peer.call(&"connect_to_url", tls.url(port, "localhost"))
	t.check(
		"tls_ca_bundle of a MioWebSocketPeer",
		t.pump([server, peer], func() -> bool: return peer.call(&"get_ready_state") == WebSocketPeer.STATE_OPEN),
		"it does not open"
	)
	peer.call(&"close", -1)
	t.retire([server])


## Several authorities in one object.
func _bundle_in_options() -> void:
	for name: String in ["roots", "bundle"]:
		var file := _copy(name + ".crt")
		for bundle: X509Certificate in [tls.resource(name), load(file)]:
			var server := tls.server("good" if name == "roots" else "via_inter")
			t.check(
				"the second authority of a loaded bundle (%s)" % name,
				_joins(server, TLSOptions.client(bundle), "", "localhost"),
				"it does not join"
			)
	t.check(
		"the first authority of an object without a file",
		_joins(tls.server("unknown"), TLSOptions.client(tls.certificate("roots")), "", "localhost"),
		"it does not join"
	)


## Certificates are renewed while games run: what the file says when the server is created counts.
func _changed_file() -> void:
	var file := _copy("wrong_name.crt", "renewed.crt")
	var key := _copy("wrong_name.key", "renewed.key")
	var server := t.new_server()
	server.set(&"tls_certificate_chain", file)
	server.set(&"tls_private_key", key)
	_listen(server, null)
	_copy("good.crt", "renewed.crt")
	_copy("good.key", "renewed.key")
	var codes := []
	for i in 2:
		var port: int = server.call(&"get_local_port")
		var client := t.new_client()
		client.create_client(tls.url(port, "localhost"), TLSOptions.client(trusted, "localhost" if i == 1 else "other.test"))
		codes.append(
			t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED, 2000)
		)
		t.retire([client, server])
		_listen(server, null)
	t.retire([server])
	t.equal("the files count when the server is created", codes, [true, true])


## An object is what it was when it was loaded, and its key goes with that, whatever its file says by now.
func _changed_since_loaded() -> void:
	var file := _copy("good.crt", "kept.crt")
	var kept: X509Certificate = load(file)
	_copy("wrong_name.crt", "kept.crt")
	_arrives("a certificate whose file has another by now", TLSOptions.server(tls.key("good"), kept), true)


## Whether a built-in client and ours that trust only the root join a server with `options`.
func _arrives(title: String, options: TLSOptions, expected: bool, set_up := Callable()) -> void:
	for client_class: String in [Harness.BUILT_IN, t.client_class]:
		var server := t.new_server()
		if set_up.is_valid():
			set_up.call(server)
		var port := t.free_port()
		var error: Error = server.create_server(port, "127.0.0.1", options)
		var client: MultiplayerPeer = ClassDB.instantiate(client_class)
		client.create_client(tls.url(port, "localhost"), TLSOptions.client(trusted))
		t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING)
		t.equal(
			"%s: the intermediate arrives at %s" % [title, client_class],
			[error, client.get_connection_status() == Harness.CONNECTED],
			[OK, expected]
		)
		t.retire([client])
		t.spin([server], 5)
		t.retire([server])


func _joins(server_options: TLSOptions, options: TLSOptions, bundle: String, host: String) -> bool:
	var server := t.new_server()
	var client := t.new_client()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1", server_options)
	client.set(&"tls_ca_bundle", bundle)
	client.create_client(tls.url(port, host), options)
	t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING)
	var joined := client.get_connection_status() == Harness.CONNECTED
	t.retire([client])
	t.spin([server], 5)
	t.retire([server])
	return joined


func _listen(server: MultiplayerPeer, options: TLSOptions) -> Error:
	return server.create_server(0, "127.0.0.1", options)


func _given(by: String, file: String) -> String:
	match by:
		"text":
			return tls.text(file)
		"absolute path":
			return tls.path(file)
	return _copy(file)


func _copy(file: String, name := "") -> String:
	var result := "user://" + (file if name.is_empty() else name)
	FileAccess.open(result, FileAccess.WRITE).store_string(tls.text(file))
	return result
