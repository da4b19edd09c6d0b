class_name Referee
extends Node
## The server's part of the rules: who is in, where everybody may be, who gets which orb.

## Further than this a place is from what a player can have reached only if it cheats or was held up.
const SLACK := 80.0

var _room: Room
var _world: World
var _until_tick := 0.0
## When each player was last moved, and last spoke, in milliseconds.
var _moved_at: Dictionary[int, int] = {}
var _spoke_at: Dictionary[int, int] = {}


func _init(room: Room) -> void:
	_room = room
	_world = room.world
	room.asked_in.connect(_admit)
	room.steered.connect(_steer)
	room.said.connect(_say)


func start() -> void:
	var orbs := PackedVector2Array()
	for orb in Rules.ORBS:
		orbs.append(Rules.random_place(Rules.ORB_MARGIN))
	_world.start(orbs, Rules.ROUND_SECONDS)


## Takes a player off the field, if it is on it.
func remove(id: int, why: String) -> void:
	_moved_at.erase(id)
	_spoke_at.erase(id)
	if _world.player(id) != null:
		_room.leave.rpc(id, why)


func _process(delta: float) -> void:
	if _world.seconds_left() <= 0.0:
		_end_round()
	_until_tick -= delta
	if _until_tick <= 0.0:
		_until_tick = Rules.TICK_SECONDS
		_tell_places()


func _admit(id: int, title: String) -> void:
	if _world.player(id) != null:
		return
	title = _free_title(Rules.clean(title, Rules.NAME_LENGTH))
	var ids: PackedInt32Array = []
	var titles: PackedStringArray = []
	var scores: PackedInt32Array = []
	var places: PackedVector2Array = []
	for player: Player in _world.players.values():
		ids.append(player.id)
		titles.append(player.title)
		scores.append(player.score)
		places.append(player.place)
	if id != _room.my_id():
		_room.welcome.rpc_id(id, ids, titles, scores, places, _world.orbs, _world.seconds_left())
	_moved_at[id] = Time.get_ticks_msec()
	_room.enter.rpc(id, title, Rules.random_place(120.0))


func _steer(id: int, place: Vector2) -> void:
	var player := _world.player(id)
	if player == null or not place.is_finite():
		return
	var now := Time.get_ticks_msec()
	var seconds := minf(1.0, (now - _moved_at[id]) / 1000.0)
	_moved_at[id] = now
	var field := Rules.field()
	var wanted := place.clamp(field.position, field.end)
	var before := player.place
	player.move(before.move_toward(wanted, Rules.DASH_SPEED * seconds + SLACK))
	_collect(player, before)


func _say(id: int, text: String) -> void:
	var player := _world.player(id)
	var line := Rules.clean(text, Rules.CHAT_LENGTH)
	var now := Time.get_ticks_msec()
	if player == null or line.is_empty() or now - _spoke_at.get(id, -Rules.CHAT_PAUSE_MSEC) < Rules.CHAT_PAUSE_MSEC:
		return
	_spoke_at[id] = now
	_room.hear.rpc(player.title, line)


## What lies on the way is taken, too, however seldom a player says where it is.
func _collect(player: Player, before: Vector2) -> void:
	for orb in _world.orbs.size():
		var at := _world.orbs[orb]
		var nearest := Geometry2D.get_closest_point_to_segment(at, before, player.place)
		if nearest.distance_to(at) < Rules.PLAYER_RADIUS + Rules.ORB_RADIUS:
			_room.take.rpc(orb, player.id, player.score + Rules.points(orb), Rules.random_place(Rules.ORB_MARGIN))


func _end_round() -> void:
	var best := _world.leader()
	_room.end_round.rpc("" if best == null else best.title, 0 if best == null else best.score, Rules.ROUND_SECONDS)


func _tell_places() -> void:
	var ids: PackedInt32Array = []
	var places: PackedVector2Array = []
	for player: Player in _world.players.values():
		ids.append(player.id)
		places.append(player.place)
	if not ids.is_empty():
		_room.show_places.rpc(ids, places)


## Two players of one name could not be told apart in the chat.
func _free_title(wanted: String) -> String:
	var base := "player" if wanted.is_empty() else wanted
	var taken: Array = _world.players.values().map(func(player: Player) -> String: return player.title)
	var title := base
	var number := 2
	while taken.has(title):
		title = "%s %d" % [base.left(Rules.NAME_LENGTH - 3), number]
		number += 1
	return title
