class_name Look
extends RefCounted
## Colors, sizes and shapes, each in one place.

const NIGHT := Color("0d1020")
const DEEP := Color("12162b")
const PANEL := Color("191e3a")
const RAISED := Color("232a4e")
const LINE := Color("2f3766")
const TEXT := Color("eef0ff")
const MUTED := Color("8f97c7")
const MINT := Color("5eead4")
const AMBER := Color("ffcf5c")
const CORAL := Color("ff7a8a")
const SKY := Color("6cb8ff")
const VIOLET := Color("b494ff")

const PLAYERS: Array[Color] = [
	Color("ff7a8a"), Color("ffa65c"), Color("ffd966"), Color("b8e35f"), Color("5fe0a0"), Color("4fd8d8"),
	Color("6cb8ff"), Color("8c9dff"), Color("b494ff"), Color("e58cf0"), Color("ff8fc0"), Color("d9b38c"),
]

const GAP := 8
const PAD := 16
const ROUND := 12


## By name, so that everybody sees a player in the same color, also after it has come back.
static func player_color(title: String) -> Color:
	return PLAYERS[title.hash() % PLAYERS.size()]


static func bold() -> Font:
	var font := FontVariation.new()
	font.base_font = ThemeDB.fallback_font
	font.variation_embolden = 0.7
	return font


static func box(color: Color, radius := ROUND, padding := 0, border := Color.TRANSPARENT) -> StyleBoxFlat:
	var style := StyleBoxFlat.new()
	style.bg_color = color
	style.set_corner_radius_all(radius)
	style.corner_detail = 8
	style.set_content_margin_all(padding)
	if border.a > 0.0:
		style.border_color = border
		style.set_border_width_all(1)
	return style


static func new_theme() -> Theme:
	var theme := Theme.new()
	theme.default_font_size = 15
	theme.set_color(&"font_color", &"Label", TEXT)
	_panels(theme)
	_buttons(theme)
	_fields(theme)
	_sliders(theme)
	return theme


## A label; the variation is TitleLabel, HeadLabel, MutedLabel or none.
static func label(text: String, variation := &"") -> Label:
	var made := Label.new()
	made.text = text
	made.theme_type_variation = variation
	return made


static func _panels(theme: Theme) -> void:
	theme.set_stylebox(&"panel", &"PanelContainer", box(PANEL, 16, PAD, LINE))
	for variation: StringName in [&"TitleLabel", &"MutedLabel", &"HeadLabel"]:
		theme.set_type_variation(variation, &"Label")
	theme.set_font(&"font", &"TitleLabel", bold())
	theme.set_font_size(&"font_size", &"TitleLabel", 40)
	theme.set_color(&"font_color", &"MutedLabel", MUTED)
	theme.set_font_size(&"font_size", &"MutedLabel", 13)
	theme.set_font(&"font", &"HeadLabel", bold())
	theme.set_font_size(&"font_size", &"HeadLabel", 16)


static func _buttons(theme: Theme) -> void:
	_button(theme, &"Button", RAISED, TEXT)
	theme.set_type_variation(&"MainButton", &"Button")
	_button(theme, &"MainButton", MINT, NIGHT)
	theme.set_font(&"font", &"MainButton", bold())
	theme.set_type_variation(&"SmallButton", &"Button")
	for state: StringName in [&"normal", &"hover", &"pressed", &"focus"]:
		var color := CORAL if state == &"hover" else Color(CORAL, 0.0)
		theme.set_stylebox(state, &"SmallButton", box(color, 6, 2))
	theme.set_color(&"font_color", &"SmallButton", MUTED)
	theme.set_color(&"font_hover_color", &"SmallButton", NIGHT)
	theme.set_font_size(&"font_size", &"SmallButton", 12)


static func _button(theme: Theme, type: StringName, color: Color, text: Color) -> void:
	theme.set_stylebox(&"normal", type, box(color, 10, 10))
	theme.set_stylebox(&"hover", type, box(color.lightened(0.12), 10, 10))
	theme.set_stylebox(&"pressed", type, box(color.darkened(0.15), 10, 10))
	theme.set_stylebox(&"disabled", type, box(Color(color, 0.35), 10, 10))
	theme.set_stylebox(&"focus", type, _ring())
	for state: StringName in [&"font_color", &"font_hover_color", &"font_pressed_color", &"font_focus_color", &"font_hover_pressed_color"]:
		theme.set_color(state, type, text)


static func _fields(theme: Theme) -> void:
	theme.set_stylebox(&"normal", &"LineEdit", box(DEEP, 10, 10, LINE))
	theme.set_stylebox(&"focus", &"LineEdit", _ring())
	theme.set_stylebox(&"read_only", &"LineEdit", box(DEEP, 10, 10))
	theme.set_color(&"font_color", &"LineEdit", TEXT)
	theme.set_color(&"font_placeholder_color", &"LineEdit", Color(MUTED, 0.7))
	theme.set_color(&"caret_color", &"LineEdit", MINT)
	theme.set_color(&"selection_color", &"LineEdit", Color(MINT, 0.3))
	for state: StringName in [&"font_color", &"font_pressed_color", &"font_hover_color", &"font_hover_pressed_color", &"font_focus_color"]:
		theme.set_color(state, &"CheckBox", MUTED)
	for state: StringName in [&"normal", &"hover", &"pressed", &"hover_pressed"]:
		theme.set_stylebox(state, &"CheckBox", StyleBoxEmpty.new())
	theme.set_stylebox(&"focus", &"CheckBox", StyleBoxEmpty.new())
	theme.set_icon(&"unchecked", &"CheckBox", _check(""))
	theme.set_icon(&"checked", &"CheckBox", _check("M5 10.5 L8.5 14 L15 6.5"))
	theme.set_constant(&"h_separation", &"CheckBox", Look.GAP)


static func _sliders(theme: Theme) -> void:
	var groove := box(DEEP, 4, 0, LINE)
	groove.content_margin_top = 4
	groove.content_margin_bottom = 4
	theme.set_stylebox(&"slider", &"HSlider", groove)
	theme.set_stylebox(&"grabber_area", &"HSlider", box(Color(MINT, 0.7), 4))
	theme.set_stylebox(&"grabber_area_highlight", &"HSlider", box(MINT, 4))
	var bar := box(LINE, 4)
	bar.set_content_margin_all(3)
	for state: StringName in [&"grabber", &"grabber_highlight", &"grabber_pressed"]:
		theme.set_stylebox(state, &"VScrollBar", bar)
	theme.set_stylebox(&"scroll", &"VScrollBar", StyleBoxEmpty.new())


## A box of a checkbox with a stroke in it.
static func _check(stroke: String) -> Texture2D:
	var image := Image.new()
	image.load_svg_from_string('''<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">
		<rect x="1" y="1" width="18" height="18" rx="5" fill="#%s" stroke="#%s"/>
		<path d="%s" fill="none" stroke="#%s" stroke-width="2.4" stroke-linecap="round"/></svg>''' % [
			DEEP.to_html(false), MUTED.to_html(false), stroke, MINT.to_html(false)])
	return ImageTexture.create_from_image(image)


static func _ring() -> StyleBoxFlat:
	var style := box(Color.TRANSPARENT, 10, 10, MINT)
	style.draw_center = false
	style.set_border_width_all(2)
	return style
