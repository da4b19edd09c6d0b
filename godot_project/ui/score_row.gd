class_name ScoreRow
extends HBoxContainer
## A line of the scoreboard.

signal kick_asked(id: int)

var _id := 0
var _rank := Look.label("", &"MutedLabel")
var _dot := Panel.new()
var _title := Look.label("")
var _score := Look.label("", &"HeadLabel")
var _kick := Button.new()


func _init() -> void:
	add_theme_constant_override(&"separation", 8)
	_rank.custom_minimum_size.x = 20.0
	_rank.horizontal_alignment = HORIZONTAL_ALIGNMENT_RIGHT
	_dot.custom_minimum_size = Vector2(10.0, 10.0)
	_dot.size_flags_vertical = SIZE_SHRINK_CENTER
	_title.size_flags_horizontal = SIZE_EXPAND_FILL
	_title.clip_text = true
	_kick.text = "kick"
	_kick.theme_type_variation = &"SmallButton"
	_kick.focus_mode = FOCUS_NONE
	_kick.size_flags_vertical = SIZE_SHRINK_CENTER
	_kick.pressed.connect(func() -> void: kick_asked.emit(_id))
	for part: Control in [_rank, _dot, _title, _kick, _score]:
		add_child(part)


func display(rank: int, player: Player, is_me: bool, can_kick: bool) -> void:
	_id = player.id
	_rank.text = str(rank)
	_dot.add_theme_stylebox_override(&"panel", Look.box(Look.player_color(player.title), 5))
	_title.text = player.title
	_title.add_theme_color_override(&"font_color", Look.MINT if is_me else Look.TEXT)
	_score.text = str(player.score)
	_kick.visible = can_kick
