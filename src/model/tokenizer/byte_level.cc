#include "model/tokenizer/byte_level.h"

#include <array>
#include <cstdint>

#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

constexpr char32_t kAlphabetEnd = 0x100 + 68;  // 68 bytes are not printable Latin-1

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kAlphabetEnd> byte{};
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  char32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b != 0xad);
    const char32_t c = printable ? b : next++;
    alphabet.character[b] = c;
    alphabet.byte[c] = static_cast<int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

bool AppendBytesOfPiece(std::string_view piece, std::string& bytes) {
  const size_t before = bytes.size();
  while (!piece.empty()) {
    const Utf8Char c = DecodeUtf8(piece);
    if (c.length <= 0 || c.code >= kAlphabetEnd || kAlphabet.byte[c.code] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(kAlphabet.byte[c.code]));
    piece.remove_prefix(static_cast<size_t>(c.length));
  }
  return true;
}

std::string PieceOfBytes(std::string_view bytes) {
  std::string piece;
  for (const char b : bytes) AppendUtf8(kAlphabet.character[static_cast<uint8_t>(b)], piece);
  return piece;
}

}  // namespace kvasir
