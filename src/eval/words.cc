#include "eval/words.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace kvasir::eval {
namespace {

constexpr std::string_view kNouns[] = {
    "acorn",   "almanac",  "anchor",   "anvil",   "apron",   "arch",     "arrow",    "atlas",
    "attic",   "awning",   "axle",     "badge",   "balcony", "barge",    "barley",   "barn",
    "barrel",  "basin",    "basket",   "beacon",  "beam",    "bell",     "bench",    "blanket",
    "boat",    "bolt",     "book",     "boot",    "bottle",  "boulder",  "bowl",     "box",
    "bracket", "branch",   "brick",    "bridge",  "broom",   "bucket",   "buoy",     "cabin",
    "cable",   "candle",   "canvas",   "card",    "cargo",   "cart",     "cask",     "cellar",
    "chain",   "chair",    "chalk",    "chest",   "chimney", "chisel",   "cistern",  "clamp",
    "clock",   "cloth",    "cloud",    "coal",    "coat",    "coil",     "coin",     "column",
    "compass", "copper",   "cord",     "cork",    "corner",  "cradle",   "crane",    "crate",
    "creek",   "crown",    "crystal",  "cup",     "curtain", "dam",      "deck",     "desk",
    "dial",    "ditch",    "dock",     "door",    "drawer",  "drum",     "dune",     "dust",
    "engine",  "envelope", "fabric",   "farm",    "feather", "fence",    "ferry",    "field",
    "filter",  "flag",     "flask",    "flood",   "floor",   "flour",    "flute",    "forest",
    "forge",   "fork",     "fountain", "frame",   "frost",   "funnel",   "furnace",  "garden",
    "gate",    "gauge",    "gear",     "glass",   "glove",   "grain",    "granite",  "gravel",
    "guard",   "gutter",   "hall",     "hammer",  "handle",  "harbour",  "harness",  "hatch",
    "hay",     "hedge",    "helmet",   "hill",    "hinge",   "honey",    "hook",     "horn",
    "house",   "ink",      "iron",     "island",  "jacket",  "jar",      "journal",  "kettle",
    "key",     "kiln",     "kitchen",  "knot",    "ladder",  "lake",     "lamp",     "lantern",
    "lathe",   "leather",  "ledger",   "lens",    "letter",  "lever",    "library",  "linen",
    "lock",    "log",      "loom",     "machine", "magnet",  "map",      "marble",   "market",
    "mast",    "meadow",   "mill",     "mirror",  "mortar",  "motor",    "mountain", "nail",
    "needle",  "net",      "notebook", "oar",     "oven",    "paddle",   "page",     "paint",
    "panel",   "paper",    "path",     "pebble",  "pencil",  "pier",     "pillar",   "pipe",
    "piston",  "plank",    "plate",    "plough",  "pocket",  "pole",     "pond",     "porch",
    "press",   "pulley",   "pump",     "quarry",  "quilt",   "rail",     "rake",     "ramp",
    "reed",    "reef",     "ribbon",   "ridge",   "ring",    "river",    "road",     "roof",
    "rope",    "rudder",   "sack",     "saddle",  "sail",    "salt",     "sand",     "saw",
    "scale",   "shed",     "shell",    "ship",    "shovel",  "signal",   "silk",     "silver",
    "slate",   "sled",     "spade",    "spindle", "spoon",   "spring",   "stable",   "stair",
    "stamp",   "station",  "steam",    "stone",   "stove",   "strap",    "stream",   "string",
    "switch",  "table",    "tank",     "tent",    "thimble", "thread",   "tile",     "timber",
    "tin",     "tool",     "torch",    "tower",   "track",   "train",    "tray",     "trench",
    "trolley", "trunk",    "tunnel",   "turbine", "valley",  "valve",    "vault",    "vessel",
    "wagon",   "wall",     "watch",    "water",   "wax",     "wedge",    "well",     "wheel",
    "whistle", "window",   "wire",     "wood",    "wool",    "workshop", "wrench",   "yard"};

constexpr std::string_view kAdjectives[] = {
    "amber",   "ample",  "ancient",    "angular", "autumn",   "awkward",  "bare",    "big",
    "bitter",  "black",  "blue",       "blunt",   "bold",     "brave",    "brief",   "bright",
    "brittle", "broad",  "broken",     "brown",   "busy",     "calm",     "careful", "cheap",
    "clean",   "clear",  "clever",     "coarse",  "cold",     "common",   "cool",    "crooked",
    "curious", "curved", "damp",       "dark",    "deep",     "dense",    "distant", "double",
    "dry",     "dull",   "dusty",      "eager",   "early",    "eastern",  "empty",   "even",
    "faded",   "faint",  "famous",     "fast",    "fertile",  "fierce",   "fine",    "firm",
    "flat",    "foggy",  "foreign",    "fragile", "fresh",    "frozen",   "full",    "gentle",
    "giant",   "glad",   "golden",     "grand",   "green",    "grey",     "hard",    "harsh",
    "heavy",   "hidden", "high",       "hollow",  "honest",   "hot",      "huge",    "humble",
    "idle",    "inner",  "jagged",     "keen",    "large",    "late",     "lazy",    "lean",
    "level",   "light",  "little",     "local",   "lonely",   "long",     "loose",   "loud",
    "low",     "lucky",  "marvellous", "mellow",  "mild",     "modern",   "modest",  "muddy",
    "narrow",  "neat",   "new",        "noble",   "noisy",    "northern", "odd",     "old",
    "open",    "orange", "ordinary",   "outer",   "pale",     "patient",  "plain",   "polite",
    "private", "proud",  "public",     "purple",  "quaint",   "quick",    "quiet",   "rapid",
    "rare",    "raw",    "ready",      "red",     "remote",   "rich",     "rigid",   "rough",
    "round",   "royal",  "rusty",      "sacred",  "salty",    "scarce",   "secret",  "shallow",
    "sharp",   "short",  "silent",     "silver",  "simple",   "single",   "slender", "slim",
    "slow",    "small",  "smooth",     "soft",    "solid",    "southern", "spare",   "square",
    "steady",  "steep",  "stiff",      "stout",   "straight", "strange",  "strong",  "sturdy",
    "subtle",  "sudden", "sunny",      "sweet",   "tall",     "tame",     "thick",   "thin",
    "tidy",    "tight",  "tiny",       "tired",   "twin",     "upper",    "useful",  "vacant",
    "vast",    "violet", "warm",       "wary",    "weak",     "western",  "wet",     "white",
    "wide",    "wild",   "wise",       "wooden",  "worn",     "yellow",   "young",   "zealous"};

constexpr std::string_view kVerbs[] = {
    "adjusted",  "bought",  "brought",  "built",    "carried",   "checked",   "cleaned",
    "collected", "counted", "covered",  "crossed",  "cut",       "delivered", "described",
    "drew",      "emptied", "examined", "filled",   "fixed",     "followed",  "found",
    "gathered",  "guarded", "held",     "improved", "inspected", "lifted",    "loaded",
    "lost",      "marked",  "measured", "mended",   "moved",     "noticed",   "opened",
    "packed",    "painted", "passed",   "planned",  "polished",  "praised",   "pulled",
    "pushed",    "reached", "repaired", "replaced", "returned",  "sealed",    "searched",
    "sent",      "shared",  "showed",   "sketched", "sold",      "sorted",    "stored",
    "studied",   "tested",  "tied",     "traded",   "turned",    "washed",    "watched",
    "weighed"};

constexpr std::string_view kTimes[] = {
    "before sunrise",   "in the early morning", "shortly after noon",  "late in the evening",
    "during the night", "after the storm",      "in the first week",   "towards the end of winter",
    "on a market day",  "when the tide turned", "in the dry season",   "at the usual hour",
    "some years later", "for the second time",  "without any warning", "as agreed in the spring"};

constexpr std::string_view kReasons[] = {
    "because", "although", "while", "so that in the end", "and at the same time", "until", "after"};

constexpr std::string_view kPrepositions[] = {"beside", "under",  "behind", "near",  "above",
                                              "across", "inside", "along",  "beyond"};

constexpr std::string_view kStarts[] = {"mar", "bel", "tor", "ves", "kal", "rin",  "dor", "sel",
                                        "hal", "nor", "fen", "gal", "lor", "bran", "cor", "ald"};
constexpr std::string_view kMiddles[] = {"o", "a", "e", "i", "ani", "eru", "ola", "ava", "imo"};
constexpr std::string_view kEnds[] = {"th", "n",   "lin", "rek", "mund", "dis",  "vik", "ra",
                                      "ne", "las", "gar", "to",  "wyn",  "ster", "bet", "do"};

std::string Capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

}  // namespace

std::span<const std::string_view> Nouns() { return kNouns; }
std::span<const std::string_view> Adjectives() { return kAdjectives; }

const std::vector<std::string>& WordPool() {
  static const std::vector<std::string> pool = [] {
    std::set<std::string> words(std::begin(kNouns), std::end(kNouns));
    words.insert(std::begin(kAdjectives), std::end(kAdjectives));
    words.insert(std::begin(kVerbs), std::end(kVerbs));
    for (size_t i = 0; i < std::size(kNouns); ++i) {  // "barnbell", "beamcable", …
      for (size_t step = 1; step <= 12; ++step) {
        const size_t j = (i * 7 + step * 23) % std::size(kNouns);
        if (i != j) words.insert(fmt::format("{}{}", kNouns[i], kNouns[j]));
      }
    }
    return std::vector<std::string>(words.begin(), words.end());
  }();
  return pool;
}

std::string AdjectiveNoun(Random& random) {
  const std::string_view adjective = random.Pick(kAdjectives);
  return fmt::format("{}-{}", adjective, random.Pick(kNouns));
}

std::string InventedName(Random& random) {
  std::string name(random.Pick(kStarts));
  name += random.Pick(kMiddles);
  name += random.Pick(kEnds);
  return Capital(std::move(name));
}

Prose::Prose(Random random) : random_(random) {
  for (int i = 0; i < 12; ++i) people_.push_back(InventedName(random_));
  for (int i = 0; i < 8; ++i) places_.push_back(InventedName(random_));
}

std::string Prose::NounPhrase() {
  const int64_t kind = random_.Below(10);
  // Compounds come from the pool: they make the vocabulary large, as names do in real prose.
  std::string noun(kind < 3 ? random_.Pick(WordPool()) : std::string(random_.Pick(kNouns)));
  if (kind % 2 == 0) noun = fmt::format("{} {}", random_.Pick(kAdjectives), noun);
  const bool vowel = std::string_view("aeiou").find(noun[0]) != std::string_view::npos;
  if (random_.Below(3) == 0) return (vowel ? "an " : "a ") + noun;
  return "the " + noun;
}

std::string Prose::Extra() {
  switch (random_.Below(4)) {
    case 0:
      return fmt::format(" {} {}", random_.Pick(kPrepositions), NounPhrase());
    case 1:
      return fmt::format(" near {}", random_.Pick(places_));
    case 2:
      return fmt::format(" with {}", NounPhrase());
    default:
      return "";
  }
}

std::string Prose::Clause() {
  const bool person = random_.Below(3) > 0;
  std::string subject = person ? random_.Pick(people_) : NounPhrase();
  if (!person && random_.Below(2) == 0) {
    return fmt::format("{} was {} and {}{}", subject, random_.Pick(kAdjectives),
                       random_.Pick(kAdjectives), Extra());
  }
  const std::string_view verb = random_.Pick(kVerbs);
  std::string object = NounPhrase();
  return fmt::format("{} {} {}{}", subject, verb, object, Extra());
}

std::string Prose::Sentence() {
  // Now and then somebody new comes in, and an older one is not heard of again.
  if (++n_sentences_ % 60 == 0) people_[random_.Below(12)] = InventedName(random_);
  if (n_sentences_ % 90 == 0) places_[random_.Below(8)] = InventedName(random_);
  std::string text;
  if (random_.Below(3) == 0) {
    text = fmt::format("{}, {}", random_.Pick(kTimes), Clause());
  } else {
    text = Clause();
  }
  const int64_t more = random_.Below(3);
  for (int64_t i = 0; i < more; ++i) {
    const std::string_view reason = random_.Pick(kReasons);
    text += fmt::format("{} {} {}", i == 0 ? "," : "", reason, Clause());
  }
  return Capital(std::move(text)) + ".";
}

std::string Prose::Words(int64_t n, std::string_view between) {
  std::string text;
  for (int64_t have = 0, in_paragraph = 0; have < n; ++in_paragraph) {
    const std::string sentence = Sentence();
    if (!text.empty()) text += in_paragraph % 8 == 0 ? between : " ";
    text += sentence;
    have += std::count(sentence.begin(), sentence.end(), ' ') + 1;
  }
  return text;
}

std::vector<std::string> SplitWords(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBlanks, end);
  }
  return words;
}

std::vector<std::string> SplitSentences(std::string_view text) {
  std::vector<std::string> sentences;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stop = text[i] == '.' || text[i] == '!' || text[i] == '?';
    if (!stop || (i + 1 < text.size() && text[i + 1] != ' ' && text[i + 1] != '\n')) continue;
    sentences.emplace_back(text.substr(begin, i + 1 - begin));
    begin = std::min(text.find_first_not_of(" \n", i + 1), text.size());
    i = begin - 1;
  }
  if (begin < text.size()) sentences.emplace_back(text.substr(begin));
  return sentences;
}

std::string Join(std::span<const std::string> parts, std::string_view between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += between;
    text += parts[i];
  }
  return text;
}

}  // namespace kvasir::eval
