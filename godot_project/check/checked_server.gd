class_name CheckedServer
extends Checker
## A server that gathers --players N, kicks the one called --kick NAME, starts anew when the others ask
## for it, and checks that all went well.

var _server: DedicatedServer


func _init(with: CommandLine) -> void:
	arguments = with
	_server = DedicatedServer.new(arguments)
	session = _server.session
	add_child(_server)


func play() -> void:
	var count := int(arguments.number("players", 5.0))
	var kicked := arguments.text("kick", "")
	var players := session.room.world.players
	if not await until(func() -> bool: return players.size() == count, "%d players" % count):
		return
	if not await until(all_moved.bind(20), "all players to move"):
		return
	if not await until(have_said.bind(count, "gg"), "all players to say gg"):
		return
	check(session.room.world.leader() != null, "nobody has points")

	for player: Player in players.values():
		if player.title == kicked:
			session.kick(player.id, "it is only a check")
	if not await until(_is_left_with.bind(count - 2), "one to leave and one to be kicked"):
		return
	check(left.get(kicked) == "was kicked", "%s is not out as one who was kicked: %s" % [kicked, left])
	if not await until(have_said.bind(count - 2, "bye"), "the others to say bye"):
		return
	await _start_anew()
	if not await until(func() -> bool: return players.size() == count - 2, "all to come back"):
		return
	if not await until(have_said.bind(count - 2, "again"), "all to say again"):
		return
	await until(func() -> bool: return players.is_empty(), "all to go home")


## Whether so many play, and nobody else is connected.
func _is_left_with(count: int) -> bool:
	return session.room.world.players.size() == count and session.multiplayer.get_peers().size() == count


func _start_anew() -> void:
	session.leave()
	await get_tree().create_timer(1.0).timeout
	check(_server.listen(_server.port), "cannot listen again")
