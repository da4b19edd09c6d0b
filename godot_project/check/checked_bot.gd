class_name CheckedBot
extends Checker
## A bot that joins --players N at --url URL, and checks what it sees, hears and goes through:
## --role stay, leave or kicked; --class NAME of the peer that it should have.

const SPEAKING_PAUSE := 0.4


func _init(with: CommandLine) -> void:
	arguments = with
	session = Session.new()
	session.name = "Session"
	add_child(session)
	session.add_child(Bot.new(session))


func play() -> void:
	var count := int(arguments.number("players", 5.0))
	var title := arguments.text("name", "")
	session.join(arguments.text("url", ""), title)
	check(session.peer.get_class() == arguments.text("class", ""), "the peer is a %s" % session.peer.get_class())
	if not await until(_sees.bind(count), "%d players" % count):
		return
	print("%s sees %d players (%s)" % [title, count, session.peer.get_class()])
	await _say("hello from %s" % title)
	if not await until(have_said.bind(count, "hello"), "all to say hello"):
		return
	for speaker in heard:
		check(heard[speaker].has("hello from %s" % speaker), "%s said %s" % [speaker, heard[speaker]])
	if not await until(all_moved.bind(20), "the others to move"):
		return
	await _say("gg")
	if not await until(have_said.bind(count, "gg"), "all to say gg"):
		return
	match arguments.text("role", "stay"):
		"leave":
			print("%s leaves" % title)
		"kicked":
			await until(func() -> bool: return session.state == Session.State.OUT, "being kicked")
			check(session.reason.contains("it is only a check"), "out because: %s" % session.reason)
			print("%s is out: %s" % [title, session.reason])
		_:
			await _stay(title, count)


func _stay(title: String, count: int) -> void:
	if not await until(func() -> bool: return left.size() == 2, "two to go"):
		return
	check(left.values().has("left") and left.values().has("was kicked"), "they went: %s" % left)
	for player: Player in session.room.world.players.values():
		player.moves = 0
	if not await until(all_moved.bind(10), "the others to go on moving"):
		return
	heard.clear()
	await _say("bye")
	if not await until(func() -> bool: return session.state == Session.State.WAITING, "the server to go"):
		return
	print("%s waits: %s" % [title, session.reason])
	if not await until(_sees.bind(count - 2), "all to be back"):
		return
	await _say("again")
	if await until(have_said.bind(count - 2, "again"), "all to say again"):
		print("%s was back, and goes home" % title)


func _sees(count: int) -> bool:
	return session.state == Session.State.IN and session.room.me() != null and session.room.world.players.size() == count


## Not too soon after the last line, which the server would not pass on.
func _say(text: String) -> void:
	await get_tree().create_timer(SPEAKING_PAUSE).timeout
	session.room.say.rpc_id(1, text)
