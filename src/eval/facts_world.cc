#include "eval/facts_world.h"

#include <fmt/core.h>

#include <set>

#include "eval/words.h"

namespace kvasir::eval {
namespace {

constexpr std::string_view kTrades[] = {"clocks",  "lanterns", "ropes",  "bells",   "boots",
                                        "kettles", "sails",    "lenses", "saddles", "ink",
                                        "anvils",  "flutes",   "maps",   "tiles",   "barrels"};
constexpr std::string_view kJobs[] = {"surveyor", "glassblower", "ferryman", "clockmaker",
                                      "botanist", "bookbinder",  "miller",   "engineer",
                                      "painter",  "teacher",     "weaver",   "carpenter"};
constexpr std::string_view kRivers[] = {"Aldwater", "Brennick", "Corrow", "Dunmere", "Ellwash",
                                        "Farrow",   "Gelt",     "Harrin", "Isk",     "Kennow"};

// Names that no other has.
class Names {
 public:
  std::string New(Random& random) {
    std::string name = InventedName(random);
    for (int tries = 0; !seen_.insert(name).second; ++tries) {
      name = InventedName(random);
      if (tries > 20) name += fmt::format(" {}", random.Pick(Nouns()));
    }
    return name;
  }

 private:
  std::set<std::string> seen_;
};

}  // namespace

World MakeWorld(Random random, int64_t n) {
  World world;
  Names names;
  while (static_cast<int64_t>(world.documents.size()) < n) {
    const size_t at = world.documents.size();
    const std::string firm = names.New(random) + " Works", person = names.New(random),
                      town = names.New(random);
    const std::string year = std::to_string(random.Between(1750, 1950));
    const std::string people = std::to_string(random.Between(1200, 98000));
    const std::string_view trade = random.Pick(kTrades), job = random.Pick(kJobs),
                           river = random.Pick(kRivers);
    Prose prose(Random(random.Next()));
    world.documents.push_back(
        fmt::format("{} is a firm that makes {}. It was founded in {} by {}. {} {}", firm, trade,
                    year, person, prose.Sentence(), prose.Sentence()));
    world.documents.push_back(fmt::format("{} was a {} who was born in the town of {}. {} {} {}",
                                          person, job, town, prose.Sentence(), prose.Sentence(),
                                          prose.Sentence()));
    world.documents.push_back(fmt::format("{} is a town on the river {} with {} inhabitants. {} {}",
                                          town, river, people, prose.Sentence(), prose.Sentence()));
    world.one_hop.push_back({fmt::format("Who founded {}?", firm), {person}, {at}});
    world.one_hop.push_back({fmt::format("In which year was {} founded?", firm), {year}, {at}});
    world.one_hop.push_back(
        {fmt::format("How many inhabitants does {} have?", town), {people}, {at + 2}});
    world.two_hop.push_back(
        {fmt::format("In which town was the founder of {} born?", firm), {town}, {at, at + 1}});
    world.two_hop.push_back({fmt::format("On which river lies the town where {} was born?", person),
                             {std::string(river)},
                             {at + 1, at + 2}});
  }
  return world;
}

}  // namespace kvasir::eval
