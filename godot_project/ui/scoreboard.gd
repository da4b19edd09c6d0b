class_name Scoreboard
extends VBoxContainer
## Who has how many points. The host may throw players out.

signal kick_asked(id: int)

const SHOWN := 10
const PAUSE := 0.25

var _room: Room
var _can_kick: bool
var _heading := Look.label("Players", &"HeadLabel")
var _rows: Array[ScoreRow] = []
var _rest := Look.label("", &"MutedLabel")
var _until_update := 0.0


func _init(room: Room, can_kick: bool) -> void:
	_room = room
	_can_kick = can_kick
	add_theme_constant_override(&"separation", 2)
	add_child(_heading)
	for index in SHOWN:
		var row := ScoreRow.new()
		row.kick_asked.connect(func(id: int) -> void: kick_asked.emit(id))
		_rows.append(row)
		add_child(row)
	add_child(_rest)


func _process(delta: float) -> void:
	_until_update -= delta
	if _until_update > 0.0:
		return
	_until_update = PAUSE
	var ranking := _room.world.ranking()
	var my_id := _room.my_id()
	_heading.text = "Players  %d" % ranking.size()
	for index in SHOWN:
		_rows[index].visible = index < ranking.size()
		if index < ranking.size():
			var player := ranking[index]
			_rows[index].display(index + 1, player, player.id == my_id, _can_kick and player.id != my_id)
	_rest.visible = ranking.size() > SHOWN
	_rest.text = "and %d more" % (ranking.size() - SHOWN)
