extends SceneTree
# timeout: 90
## Which certificates a client accepts, for which names, and what is printed when it does not. Each rule is tried on
## our client and on the engine's, with servers of both classes.

const Harness := preload("res://support/harness.gd")
const Tls := preload("res://support/tls.gd")

const NAME := "name mismatch"
const ISSUER := "unknown issuer"
const EXPIRED := "expired"
const FUTURE := "not valid yet"

const ADDRESS := "127.0.0.1"

## As `openssl x509 -req -signkey` makes it: version 1, which has no extensions, for localhost.
const OLD_KEY := """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIDwlTuqhS8DzlxHqnkmkW++8ABeoxIyHGSg5XM6TQCn0oAoGCCqGSM49
AwEHoUQDQgAEX4GBp/e0KM/vNDZ6EG2gbsPj9+Cd0TSvnriBX4Ywv+A41GulIjPL
O2eUU96/B4pe3m5e0Sy/Wy96NdK3sJT0kQ==
-----END EC PRIVATE KEY-----
"""
const OLD_CERTIFICATE := """-----BEGIN CERTIFICATE-----
MIIBEDCBuAIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwIBcN
MjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2Fs
aG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABF+Bgaf3tCjP7zQ2ehBtoG7D
4/fgndE0r564gV+GML/gONRrpSIzyztnlFPevweKXt5uXtEsv1svejXSt7CU9JEw
CgYIKoZIzj0EAwIDRwAwRAIgRX1kNk3FBtUtU7gPm4+5nj64FzUVPoMU20RedCx3
CFsCIHoIRvBJz0/SEb2e845Iso/lqVqe9WWyKnVZW4J+0Cmj
-----END CERTIFICATE-----
"""

var t := Harness.new()
var tls: Tls


func _initialize() -> void:
	t.begin(self, 80.0)
	tls = Tls.open(t)
	if not t.ready():
		t.finish()
		return
	for cause: String in [NAME, ISSUER, EXPIRED, FUTURE, "does not accept our certificate", "does not know the issuer"]:
		t.expect_error(cause)
	t.expect_error("TLS handshake error: -9984")
	var rules := _rules() + _rules_of_made_certificates()
	var ours: String = t.peer_class
	for classes: Array in [[ours, ours], [ours, Harness.BUILT_IN], [Harness.BUILT_IN, ours]]:
		for rule: Array in rules:
			_try(classes, rule)
	t.finish()


## [what, the server's options, the client's, host, what keeps them apart (nothing: they join)].
func _rules() -> Array:
	var root := tls.certificate("root")
	var inter := tls.certificate("inter")
	var other_root := tls.certificate("other_root")
	var ee := tls.certificate("self_signed_ee")
	var good := tls.server("good")
	var wrong := tls.server("wrong_name")
	var expired := tls.server("expired")
	var future := tls.server("future")
	var unknown := tls.server("unknown")
	var wildcard := tls.server("wildcard")
	var ip_only := tls.server("ip_only")
	var cn_only := tls.server("cn_only")
	var san_other := tls.server("cn_ok_san_other")
	var leaf := tls.server("via_inter")
	var chain := TLSOptions.server(tls.key("via_inter"), tls.resource("via_inter.chain"))
	var self_signed := tls.server("self_signed_ee")
	var authority := tls.server("authority")
	var v1_key := CryptoKey.new()
	v1_key.load_from_string(OLD_KEY)
	var v1_certificate := X509Certificate.new()
	v1_certificate.load_from_string(OLD_CERTIFICATE)
	var v1 := TLSOptions.server(v1_key, v1_certificate)
	var safe := TLSOptions.client
	var unsafe := TLSOptions.client_unsafe
	return [
		["good", good, safe.call(root), "localhost", ""],
		["good, by address", good, safe.call(root), ADDRESS, ""],
		["good, in capitals", good, safe.call(root), "LOCALHOST", ""],
		["good, as another", good, safe.call(root, "other.test"), "localhost", NAME],
		["good, by address as name", good, safe.call(root, "localhost"), ADDRESS, ""],
		["good, nobody named", good, safe.call(), "localhost", ISSUER],
		["good, no options", good, null, "localhost", ISSUER],
		["good, other root", good, safe.call(other_root), "localhost", ISSUER],
		["good, itself trusted", good, safe.call(tls.certificate("good")), "localhost", ISSUER],
		["good, unsafe", good, unsafe.call(), "localhost", ""],
		["good, unsafe with root", good, unsafe.call(root), "localhost", ""],
		["good, unsafe with other root", good, unsafe.call(other_root), "localhost", ISSUER],
		["wrong name", wrong, safe.call(root), "localhost", NAME],
		["wrong name, asked for", wrong, safe.call(root, "other.test"), "localhost", ""],
		["wrong name, unsafe", wrong, unsafe.call(), "localhost", ""],
		["wrong name, unsafe with root", wrong, unsafe.call(root), "localhost", ""],
		["expired", expired, safe.call(root), "localhost", EXPIRED],
		["expired, unsafe", expired, unsafe.call(), "localhost", ""],
		["expired, unsafe with root", expired, unsafe.call(root), "localhost", EXPIRED],
		["future", future, safe.call(root), "localhost", FUTURE],
		["future, unsafe", future, unsafe.call(), "localhost", ""],
		["future, unsafe with root", future, unsafe.call(root), "localhost", FUTURE],
		["unknown", unknown, safe.call(root), "localhost", ISSUER],
		["unknown, its root", unknown, safe.call(other_root), "localhost", ""],
		["unknown, unsafe", unknown, unsafe.call(), "localhost", ""],
		["star, one label", wildcard, safe.call(root, "a.example.test"), ADDRESS, ""],
		["star, in capitals", wildcard, safe.call(root, "A.Example.TEST"), ADDRESS, ""],
		["star, no label", wildcard, safe.call(root, "example.test"), ADDRESS, NAME],
		["star, two labels", wildcard, safe.call(root, "a.b.example.test"), ADDRESS, NAME],
		["star, another name", wildcard, safe.call(root), "localhost", NAME],
		["only an address, by it", ip_only, safe.call(root), ADDRESS, ""],
		["only an address, by name", ip_only, safe.call(root), "localhost", NAME],
		["only a common name", cn_only, safe.call(root), "localhost", ""],
		["only a common name, by address", cn_only, safe.call(root), ADDRESS, NAME],
		["common name, other alternative", san_other, safe.call(root), "localhost", NAME],
		["common name, the alternative", san_other, safe.call(root, "other.test"), "localhost", ""],
		["chain, root", chain, safe.call(root), "localhost", ""],
		["chain, only the intermediate", chain, safe.call(inter), "localhost", ""],
		["leaf, root", leaf, safe.call(root), "localhost", ISSUER],
		["leaf, only the intermediate", leaf, safe.call(inter), "localhost", ""],
		["leaf, both trusted", leaf, safe.call(tls.resource("bundle")), "localhost", ""],
		["good, second of two roots", good, safe.call(tls.resource("roots")), "localhost", ""],
		["self-signed, itself", self_signed, safe.call(ee), "localhost", ""],
		["self-signed, by address", self_signed, safe.call(ee), ADDRESS, NAME],
		["self-signed, by address, unsafe", self_signed, unsafe.call(ee), ADDRESS, ""],
		["self-signed, root", self_signed, safe.call(root), "localhost", ISSUER],
		["an authority as server", authority, safe.call(root), "localhost", ""],
		["an authority as server, other root", authority, safe.call(other_root), "localhost", ISSUER],
		["an authority as server, unsafe", authority, unsafe.call(), "localhost", ""],
		["version 1", v1, safe.call(v1_certificate), "localhost", ""],
		["version 1, by address", v1, safe.call(v1_certificate), ADDRESS, NAME],
		["version 1, root", v1, safe.call(root), "localhost", ISSUER],
		["version 1, unsafe", v1, unsafe.call(), "localhost", ""],
	]


## Those of the engine are authorities that sign themselves, with only a common name.
func _rules_of_made_certificates() -> Array:
	var made := tls.made()
	var again := tls.made()
	var old := tls.made("localhost", "20100101000000", "20110101000000")
	var coming := tls.made("localhost", "20900101000000", "20990101000000")
	var named := tls.made("game.test")
	var server := func(one: Dictionary) -> TLSOptions: return TLSOptions.server(one.key, one.certificate)
	var safe := TLSOptions.client
	var unsafe := TLSOptions.client_unsafe
	return [
		["made", server.call(made), safe.call(made.certificate), "localhost", ""],
		["made, in capitals", server.call(made), safe.call(made.certificate), "LocalHost", ""],
		["made, by address", server.call(made), safe.call(made.certificate), ADDRESS, NAME],
		["made, by address as name", server.call(made), safe.call(made.certificate, "LOCALHOST"), ADDRESS, ""],
		["made, as another", server.call(made), safe.call(made.certificate, "example.org"), "localhost", NAME],
		["made, another of that name", server.call(made), safe.call(again.certificate), "localhost", ISSUER],
		["made, nobody named", server.call(made), safe.call(), "localhost", ISSUER],
		["made, root", server.call(made), safe.call(tls.certificate("root")), "localhost", ISSUER],
		["made, unsafe", server.call(made), unsafe.call(), ADDRESS, ""],
		["made, unsafe with itself", server.call(made), unsafe.call(made.certificate), ADDRESS, ""],
		["made, unsafe with another", server.call(made), unsafe.call(again.certificate), ADDRESS, ISSUER],
		["made, expired", server.call(old), safe.call(old.certificate), "localhost", EXPIRED],
		["made, expired, unsafe", server.call(old), unsafe.call(), "localhost", ""],
		["made, expired, unsafe with itself", server.call(old), unsafe.call(old.certificate), "localhost", EXPIRED],
		["made, future", server.call(coming), safe.call(coming.certificate), "localhost", FUTURE],
		["made, another name", server.call(named), safe.call(named.certificate), "localhost", NAME],
		["made, another name, asked for", server.call(named), safe.call(named.certificate, "game.test"), ADDRESS, ""],
	]


func _try(classes: Array, rule: Array) -> void:
	var what := "%s (%s, %s)" % [rule[0], _side(classes[0], "server"), _side(classes[1], "client")]
	var cause: String = rule[4]
	var pair := tls.join(classes[0], classes[1], rule[1], rule[2], rule[3])
	if cause.is_empty():
		t.equal("%s: they talk, and nothing is printed" % what, [tls.talks(pair), pair.errors], [true, PackedStringArray()])
	else:
		t.equal("%s: they do not join" % what, [pair.codes, tls.is_joined(pair)], [[OK, OK], false])
		_check_lines(what, pair, classes, rule[3].to_lower(), cause)
	tls.close(pair)


## One line for each of our sides; the client's says why, and both with whom.
func _check_lines(what: String, pair: Dictionary, classes: Array, host: String, cause: String) -> void:
	var of_client := PackedStringArray()
	var of_server := PackedStringArray()
	for line: String in pair.errors:
		# It names the server by what it asked for, and the server the client by its address.
		if line.contains("%s:%d: " % [host, pair.port]):
			of_client.append(line)
		else:
			of_server.append(line)
	if classes[1] != Harness.BUILT_IN:
		t.check(
			"%s: the client says so, and with whom" % what,
			of_client.size() == 1 and of_client[0].contains("tls handshake failed: ") and of_client[0].contains(cause),
			of_client
		)
	else:
		t.equal("%s: nothing of our client" % what, of_client.size(), 0)
	if classes[0] != Harness.BUILT_IN:
		t.check(
			"%s: the server says so" % what,
			of_server.size() == 1 and of_server[0].contains("127.0.0.1:") and of_server[0].contains("our certificate"),
			of_server
		)
	else:
		t.equal("%s: nothing of our server" % what, of_server.size(), 0)


func _side(class_title: String, role: String) -> String:
	return ("built-in " if class_title == Harness.BUILT_IN else "our ") + role
