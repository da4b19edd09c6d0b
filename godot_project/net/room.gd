class_name Room
extends Node
## What players and server tell each other: the remote calls of the game, and nothing else.
##
## Calls from a client end in signals that the referee listens to; calls from the server change the
## world, on the server too.

## Server: a client wants to play under this name.
signal asked_in(id: int, title: String)
## Server: a client says where it is now.
signal steered(id: int, place: Vector2)
## Server: a client says something.
signal said(id: int, text: String)
## Client: the match is known and can be drawn.
signal welcomed
## Client: the server will disconnect us, and why.
signal dismissed(reason: String)

var world := World.new()


func _init() -> void:
	# Remote calls find their node by path, which so is the same everywhere.
	name = "Room"


## 0 while there is no connection.
func my_id() -> int:
	return multiplayer.get_unique_id() if multiplayer.has_multiplayer_peer() else 0


func me() -> Player:
	return world.player(my_id())


@rpc("any_peer", "call_local", "reliable")
func ask_in(title: String) -> void:
	asked_in.emit(_sender(), title)


@rpc("any_peer", "call_local", "unreliable_ordered")
func steer(place: Vector2) -> void:
	steered.emit(_sender(), place)


@rpc("any_peer", "call_local", "reliable")
func say(text: String) -> void:
	said.emit(_sender(), text)


## All that a newcomer has to know: `ids`, `titles`, `scores` and `places` of the players, by index.
@rpc("authority", "call_remote", "reliable")
func welcome(ids: PackedInt32Array, titles: PackedStringArray, scores: PackedInt32Array,
		places: PackedVector2Array, orbs: PackedVector2Array, seconds_left: float) -> void:
	world.start(orbs, seconds_left)
	for index in ids.size():
		var player := Player.new(ids[index], titles[index], places[index])
		player.score = scores[index]
		world.players[player.id] = player
	welcomed.emit()


@rpc("authority", "call_local", "reliable")
func enter(id: int, title: String, place: Vector2) -> void:
	world.enter(Player.new(id, title, place))


@rpc("authority", "call_local", "reliable")
func leave(id: int, why: String) -> void:
	world.leave(id, why)


@rpc("authority", "call_remote", "unreliable_ordered")
func show_places(ids: PackedInt32Array, places: PackedVector2Array) -> void:
	for index in ids.size():
		var player := world.player(ids[index])
		# It may have come or gone meanwhile: reliable calls do not wait for these.
		if player == null:
			continue
		if player.id != my_id():
			player.move(places[index])
		elif player.place.distance_to(places[index]) > Rules.LEASH:
			player.track.restart(places[index])
			player.place = places[index]


@rpc("authority", "call_local", "reliable")
func take(orb: int, id: int, score: int, next_place: Vector2) -> void:
	world.take(orb, id, score, next_place)


@rpc("authority", "call_local", "reliable")
func hear(title: String, text: String) -> void:
	world.hear(title, text)


@rpc("authority", "call_local", "reliable")
func end_round(winner: String, score: int, next_seconds: float) -> void:
	world.end_round(winner, score, next_seconds)


@rpc("authority", "call_remote", "reliable")
func dismiss(reason: String) -> void:
	dismissed.emit(reason)


func _sender() -> int:
	var id := multiplayer.get_remote_sender_id()
	return my_id() if id == 0 else id
