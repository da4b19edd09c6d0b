extends SceneTree
## Long and repeated sessions over TLS, with both versions of it: much data both ways, and coming back again and again.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")
const Raw := preload("res://support/raw.gd")
const Branch := preload("res://support/branch.gd")

const TLS_13 := "network/tls/enable_tls_v1.3"

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	await process_frame
	t.begin(self, 50.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	var ours: String = t.peer_class
	for has_tls13: bool in [true, false]:
		ProjectSettings.set_setting(TLS_13, has_tls13)
		for classes: Array in [[ours, ours], [ours, Harness.BUILT_IN], [Harness.BUILT_IN, ours]]:
			_big_data(classes, has_tls13)
			_reconnects(classes, has_tls13)
		_versions(has_tls13)
		_hello(has_tls13)
	ProjectSettings.set_setting(TLS_13, true)
	_options_are_kept()
	_both_protocols_side_by_side()
	_session_of_scenes()
	t.finish()


func _big_data(classes: Array, has_tls13: bool) -> void:
	const COUNT := 50
	const SIZE := 60000
	var pair := tls.join(classes[0], classes[1], tls.server("good"), TLSOptions.client(tls.certificate("root")))
	if not t.check("%s: a session opens" % _title(classes, has_tls13), tls.is_joined(pair), pair.errors):
		tls.close(pair)
		return
	var peers: Array[MultiplayerPeer] = [pair.server, pair.client]
	var sent := [0, 0]
	var got := [0, 0]
	var right := [true, true]
	var filling := t.bytes(SIZE, 7)
	pair.server.set_target_peer(pair.client.get_unique_id())
	var step := func() -> bool:
		for i in 2:
			if sent[i] < COUNT and sent[i] - got[1 - i] < 2:
				filling.encode_u32(0, sent[i])
				filling.encode_u32(SIZE - 4, sent[i] * 3)
				if peers[i].put_packet(filling) == OK:
					sent[i] += 1
			for packet in t.take(peers[i]):
				var number: int = got[i]
				right[i] = (
					right[i]
					and packet.size() == SIZE
					and packet.decode_u32(0) == number
					and packet.decode_u32(SIZE - 4) == number * 3
					and packet.slice(4, 1000) == filling.slice(4, 1000)
				)
				got[i] += 1
		return got == [COUNT, COUNT]
	t.pump(peers, step, 8000)
	var title := "%s: 3 MB each way, in order and whole" % _title(classes, has_tls13)
	t.equal(title, [got, right], [[COUNT, COUNT], [true, true]])
	tls.close(pair)


## The same client object and options each time, so that sessions are resumed.
func _reconnects(classes: Array, has_tls13: bool) -> void:
	var server: MultiplayerPeer = ClassDB.instantiate(classes[0])
	var client: MultiplayerPeer = ClassDB.instantiate(classes[1])
	var port := t.free_port()
	server.create_server(port, "127.0.0.1", tls.server("good"))
	var options := TLSOptions.client(tls.certificate("root"))
	var events := t.record(server)
	var talked := 0
	for i in 20:
		if client.create_client(tls.url(port, "localhost"), options) != OK:
			break
		t.pump(
			[server, client],
			func() -> bool: return client.get_connection_status() == Harness.CONNECTED and events.size() == 2 * i + 1
		)
		talked += int(tls.talks({"server": server, "client": client}, 100))
		client.close()
		t.pump([server], func() -> bool: return events.size() == 2 * i + 2)
	t.equal("%s: 20 times there and away" % _title(classes, has_tls13), [talked, events.size()], [20, 40])
	t.retire([client, server])


## What the setting says when a server or client is created counts.
func _versions(has_tls13: bool) -> void:
	var ours: String = t.peer_class
	for classes: Array in [[ours, Harness.BUILT_IN], [Harness.BUILT_IN, ours], [ours, ours]]:
		var server: MultiplayerPeer = ClassDB.instantiate(classes[0])
		var port := t.free_port()
		server.create_server(port, "127.0.0.1", tls.server("good"))
		# The other side has the other setting.
		ProjectSettings.set_setting(TLS_13, not has_tls13)
		var client: MultiplayerPeer = ClassDB.instantiate(classes[1])
		client.create_client(tls.url(port, "localhost"), TLSOptions.client(tls.certificate("root")))
		t.pump([server, client], func() -> bool: return client.get_connection_status() != Harness.CONNECTING)
		t.check(
			"one side has only 1.2 (%s to %s)" % [classes[1], classes[0]],
			client.get_connection_status() == Harness.CONNECTED,
			"they do not join"
		)
		ProjectSettings.set_setting(TLS_13, has_tls13)
		t.retire([client, server])


## What a client says first: the versions, the name unless it is an address, and that it speaks HTTP/1.1.
func _hello(has_tls13: bool) -> void:
	for case: Array in [
		["localhost", TLSOptions.client(tls.certificate("root")), "localhost"],
		["localhost", TLSOptions.client(tls.certificate("root"), "a.example.test"), "a.example.test"],
		["localhost", TLSOptions.client_unsafe(), "localhost"],
		["localhost", TLSOptions.client_unsafe(tls.certificate("root")), "localhost"],
		["localhost", null, "localhost"],
		["127.0.0.1", TLSOptions.client(tls.certificate("root")), ""],
		["127.0.0.1", TLSOptions.client_unsafe(), ""],
		["127.0.0.1", TLSOptions.client(tls.certificate("root"), "localhost"), "localhost"],
	]:
		var listener := TCPServer.new()
		listener.listen(0, "127.0.0.1")
		var client := t.new_client()
		client.create_client(tls.url(listener.get_local_port(), case[0]), case[1])
		var raw := Raw.accept(listener, [client])
		raw.wait([client], func() -> bool: return raw.inbox.size() > 5 and raw.inbox.size() >= 5 + _u16(raw.inbox, 3))
		var extensions := _extensions(raw.inbox)
		var what := "hello to %s, unsafe %s" % [case[0], case[1] != null and case[1].is_unsafe_client()]
		# A name comes behind its list's length, its kind and its length.
		t.equal("%s: name" % what, extensions.get(0, PackedByteArray()).slice(5).get_string_from_ascii(), case[2])
		t.equal("%s: protocols" % what, extensions.get(16, PackedByteArray()).slice(3).get_string_from_ascii(), "http/1.1")
		t.equal("%s: TLS 1.3" % what, extensions.get(43, PackedByteArray()).hex_encode().contains("0304"), has_tls13)
		t.retire([client])


## The extensions of a client's hello by number.
func _extensions(record: PackedByteArray) -> Dictionary:
	# Record and message heads, version and random; then the session id, the ciphers, the compressions.
	var at := 5 + 4 + 2 + 32
	at += 1 + record[at]
	at += 2 + _u16(record, at)
	at += 1 + record[at]
	var end := at + 2 + _u16(record, at)
	at += 2
	var result := {}
	while at < end:
		var size := _u16(record, at + 2)
		result[_u16(record, at)] = record.slice(at + 4, at + 4 + size)
		at += 4 + size
	return result


func _u16(bytes: PackedByteArray, at: int) -> int:
	return (bytes[at] << 8) | bytes[at + 1]


## An options object can serve many, and what it holds can be let go.
func _options_are_kept() -> void:
	var made := tls.made()
	var server_options := TLSOptions.server(made.key, made.certificate)
	var options := TLSOptions.client(made.certificate)
	var pairs := []
	for i in 3:
		pairs.append(tls.join(t.server_class, t.client_class, server_options, options))
	made.clear()
	server_options = null
	options = null
	t.check(
		"options serve several and may go",
		pairs.all(func(pair: Dictionary) -> bool: return tls.talks(pair)),
		"they do not talk"
	)
	pairs.map(tls.close)


## Options are for wss alone.
func _both_protocols_side_by_side() -> void:
	var server := t.new_server()
	var client := t.new_client()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1")
	client.create_client(t.url(port), TLSOptions.client(tls.certificate("root")))
	t.pump([server, client], func() -> bool: return client.get_connection_status() == Harness.CONNECTED)
	t.check("options are left alone for ws", tls.talks({"server": server, "client": client}), "they do not talk")
	t.retire([client, server])


## The high-level API over it, with one client of each class.
func _session_of_scenes() -> void:
	var server := t.new_server()
	var port := t.free_port()
	server.create_server(port, "127.0.0.1", tls.server("good"))
	var all: Array = [Branch.create(self, "Server", server)]
	for client_class: String in [t.client_class, Harness.BUILT_IN]:
		var client: MultiplayerPeer = ClassDB.instantiate(client_class)
		client.create_client(tls.url(port, "localhost"), TLSOptions.client(tls.certificate("root")))
		all.append(Branch.create(self, "Client", client))
	var known := func() -> bool: return all.all(func(each: Branch) -> bool: return each.api.get_peers().size() == 2)
	t.check("a session of the high-level API", t.pump(all, known), "they do not find each other")
	for branch: Branch in all:
		branch.actor.reliable.rpc("hello")
	var heard := func() -> bool: return all.all(func(each: Branch) -> bool: return each.values("reliable").size() == 2)
	t.check("everybody hears everybody", t.pump(all, heard), "they do not")
	for branch: Branch in all:
		branch.retire()


func _title(classes: Array, has_tls13: bool) -> String:
	return "%s to %s, TLS 1.%d" % [classes[1], classes[0], 3 if has_tls13 else 2]
