// GPT-2's alphabet: each byte written as one printable character, so that pieces of bytes can be
// kept as text. The printable Latin-1 bytes stand for themselves, the other 68 for U+0100...
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// The bytes that a piece stands for; nothing where it holds a character outside the alphabet.
std::optional<std::string> BytesOfPiece(std::string_view piece);

// The piece that stands for `bytes`.
std::string PieceOfBytes(std::string_view bytes);

}  // namespace kvasir
