extends RefCounted
## Tickets: who somebody is and until when that counts, signed with a secret that the matchmaker and the game's server
## share. The server needs to ask nobody, and nobody without the secret can make one.
##
## A ticket is `USER.UNTIL.SIGNATURE`: the name in hexadecimal digits, seconds since 1970, and HMAC-SHA256 over both.

const Tickets := preload("res://examples/admission/tickets.gd")

var _secret: PackedByteArray
## Tickets that somebody has come in with, and until when each counts: a ticket is good once.
var _used := {}


static func with_secret(secret: String) -> Tickets:
	var tickets := Tickets.new()
	tickets._secret = secret.to_utf8_buffer()
	return tickets


## What the matchmaker does, in whatever language it is written.
func make(user: String, seconds: int) -> String:
	var claim := "%s.%d" % [user.to_utf8_buffer().hex_encode(), int(Time.get_unix_time_from_system()) + seconds]
	return "%s.%s" % [claim, _sign(claim)]


## Whose ticket it is; empty for one that is not valid, or not any more.
func redeem(ticket: String) -> String:
	var parts := ticket.split(".")
	if parts.size() != 3 or not parts[1].is_valid_int():
		return ""
	var signature := _sign("%s.%s" % [parts[0], parts[1]])
	# In a time that does not tell how much of it was right.
	if not Crypto.new().constant_time_compare(signature.to_utf8_buffer(), parts[2].to_utf8_buffer()):
		return ""
	var now := int(Time.get_unix_time_from_system())
	for used: String in _used.keys():
		if _used[used] < now:
			_used.erase(used)
	if int(parts[1]) < now or _used.has(ticket):
		return ""
	_used[ticket] = int(parts[1])
	return parts[0].hex_decode().get_string_from_utf8()


func _sign(claim: String) -> String:
	return Crypto.new().hmac_digest(HashingContext.HASH_SHA256, _secret, claim.to_utf8_buffer()).hex_encode()
