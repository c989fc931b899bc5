// GPT-2's alphabet: each byte written as one printable character, so that pieces of bytes can be
// kept as text. The printable Latin-1 bytes stand for themselves, the other 68 for U+0100...
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

// Appends the bytes that a piece stands for. False, and nothing appended, where it holds a
// character outside the alphabet.
bool AppendBytesOfPiece(std::string_view piece, std::string& bytes);

// The piece that stands for `bytes`.
std::string PieceOfBytes(std::string_view bytes);

}  // namespace kvasir
