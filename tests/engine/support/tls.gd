extends RefCounted
## Certificates for a test, and sessions of one server and one client over TLS.

const Tls := preload("res://support/tls.gd")
const ErrorCounter := preload("res://support/error_counter.gd")

## Where the certificates of the test are; see the folder's maker for what there is.
var folder := OS.get_environment("CERTIFICATES")

var _t: RefCounted
var _crypto := Crypto.new()


## Null, and a failure, where nobody said where the certificates are.
static func open(t: RefCounted) -> Tls:
	var tls := Tls.new()
	tls._t = t
	if not FileAccess.file_exists(tls.path("root.crt")):
		t.check("the variable CERTIFICATES names a folder with certificates", false, tls.folder)
		return null
	return tls


func path(file: String) -> String:
	return folder.path_join(file)


func text(file: String) -> String:
	return FileAccess.get_file_as_string(path(file))


## A certificate as an object that does not know its file.
func certificate(name: String) -> X509Certificate:
	var result := X509Certificate.new()
	result.load_from_string(text(name + ".crt"))
	return result


## A certificate as a resource that knows its file.
func resource(name: String) -> X509Certificate:
	return load(path(name + ".crt"))


func key(name: String) -> CryptoKey:
	var result := CryptoKey.new()
	result.load_from_string(text(name + ".key"))
	return result


## The options of a server with one of the certificates. Its object is a resource, so that all of a chain is there.
func server(name: String, key_name := "") -> TLSOptions:
	return TLSOptions.server(key(name if key_name.is_empty() else key_name), resource(name))


## An RSA key and a certificate for `name`, as the engine makes them: {key, certificate}.
func made(name := "localhost", from := "20200101000000", until := "20400101000000") -> Dictionary:
	var new_key := _crypto.generate_rsa(2048)
	var subject := "CN=%s,O=Test,C=IT" % name
	return {"key": new_key, "certificate": _crypto.generate_self_signed_certificate(new_key, subject, from, until)}


func url(port: int, host := "127.0.0.1") -> String:
	return "wss://%s:%d" % [host, port]


## A server with `options`, a client of it, and what comes of them: {server, client, port, errors}. `errors` are the
## lines that were printed. To be closed with close().
func join(
	server_class: String, client_class: String, options: TLSOptions, client_options: TLSOptions, host := "localhost"
) -> Dictionary:
	var server_peer: MultiplayerPeer = ClassDB.instantiate(server_class)
	var client: MultiplayerPeer = ClassDB.instantiate(client_class)
	var port: int = _t.free_port()
	var counter := ErrorCounter.start()
	var codes := [server_peer.create_server(port, "127.0.0.1", options)]
	codes.append(client.create_client(url(port, host), client_options))
	if codes == [OK, OK]:
		_t.pump([server_peer, client], func() -> bool: return client.get_connection_status() != _t.CONNECTING, 5000)
	# Both sides get to say something.
	for i in 3:
		_t.settle(2)
		server_peer.poll()
		client.poll()
	counter.stop()
	return {"codes": codes, "server": server_peer, "client": client, "port": port, "errors": own_lines(counter.lines)}


func is_joined(pair: Dictionary) -> bool:
	return pair.client.get_connection_status() == _t.CONNECTED


## Whether packets go both ways.
func talks(pair: Dictionary, size := 60000) -> bool:
	if not is_joined(pair):
		return false
	var there: PackedByteArray = _t.bytes(size, 1)
	var back: PackedByteArray = _t.bytes(size, 2)
	pair.server.set_target_peer(0)
	if pair.client.put_packet(there) != OK or pair.server.put_packet(back) != OK:
		return false
	var both := func() -> bool:
		return pair.client.get_available_packet_count() == 1 and pair.server.get_available_packet_count() == 1
	return (
		_t.pump([pair.server, pair.client], both)
		and pair.client.get_packet() == back
		and pair.server.get_packet() == there
	)


func close(pair: Dictionary) -> void:
	_t.retire([pair.client, pair.server])


## The lines of the addon.
static func own_lines(lines: PackedStringArray) -> PackedStringArray:
	var own := PackedStringArray()
	for line in lines:
		if line.begins_with("Mio WebSocket"):
			own.append(line)
	return own
