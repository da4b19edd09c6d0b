class_name World
extends RefCounted
## The state of a match, the same on the server and on every client. Only rooms change it.

signal entered(player: Player)
signal left(player: Player, why: String)
signal taken(orb: int, player: Player, at: Vector2)
signal heard(title: String, text: String)
signal round_ended(winner: String, score: int)

var players: Dictionary[int, Player] = {}
## By index; see Rules.is_star().
var orbs := PackedVector2Array()

var _round_ends_at := 0


## Begins a match with these orbs and nobody in it.
func start(with_orbs: PackedVector2Array, seconds_left_of_round: float) -> void:
	players.clear()
	orbs = with_orbs
	_start_round(seconds_left_of_round)


func enter(newcomer: Player) -> void:
	players[newcomer.id] = newcomer
	entered.emit(newcomer)


func leave(id: int, why: String) -> void:
	var leaver := player(id)
	if leaver != null:
		players.erase(id)
		left.emit(leaver, why)


func take(orb: int, id: int, score: int, next_place: Vector2) -> void:
	var taker := player(id)
	if taker == null or orb < 0 or orb >= orbs.size():
		return
	var at := orbs[orb]
	orbs[orb] = next_place
	taker.score = score
	taken.emit(orb, taker, at)


func hear(title: String, text: String) -> void:
	heard.emit(title, text)


func end_round(winner: String, score: int, next_seconds: float) -> void:
	for each: Player in players.values():
		each.score = 0
	_start_round(next_seconds)
	round_ended.emit(winner, score)


func player(id: int) -> Player:
	return players.get(id)


func seconds_left() -> float:
	return maxf(0.0, (_round_ends_at - Time.get_ticks_msec()) / 1000.0)


## By score, the best first.
func ranking() -> Array[Player]:
	var sorted: Array[Player] = players.values()
	sorted.sort_custom(func(one: Player, other: Player) -> bool:
		return one.score > other.score or (one.score == other.score and one.id < other.id))
	return sorted


## Whoever has the most points, if anybody has any.
func leader() -> Player:
	var best: Player = null
	for candidate: Player in players.values():
		if candidate.score > (0 if best == null else best.score):
			best = candidate
	return best


func _start_round(seconds: float) -> void:
	_round_ends_at = Time.get_ticks_msec() + int(seconds * 1000.0)
