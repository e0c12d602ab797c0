/// Makes inputs from good ones. An input depends only on the seed and on its number, so it can be
/// made again without the inputs before it.
struct Mutator {
    private static let longest = 16 << 10

    private let corpus: [[UInt8]]
    private let words: [[UInt8]]

    init(kind: Kind) {
        corpus = kind.corpus.map { Array($0.utf8) }
        words = (kind.words + Corpus.numbers).map { Array($0.utf8) }
    }

    func input(seed: UInt64, number: Int) -> [UInt8] {
        var random = SplitMix(state: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(number) &* 0xD134_2543_DE82_EF95)
        var bytes = corpus[Int.random(in: corpus.indices, using: &random)]
        // Some inputs have one fault, and some are nearly all noise.
        let count = [0, 1, 1, 1, 2, 8][Int.random(in: 0..<6, using: &random)]
        for _ in 0..<count { mutate(&bytes, using: &random) }
        // The bytes that decide how the input is delivered; see the targets.
        let choices = (0..<4).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        return choices + bytes.prefix(Self.longest)
    }

    private func mutate(_ bytes: inout [UInt8], using random: inout SplitMix) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
        switch Int.random(in: 0..<15, using: &random) {
        case 0 where place < bytes.count: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.removeSubrange(place...)
        case 4, 5: bytes.insert(contentsOf: words[Int.random(in: words.indices, using: &random)], at: place)
        case 6: bytes.replaceSubrange(place..<end, with: words[Int.random(in: words.indices, using: &random)])
        case 7:
            let part = bytes[place..<end]
            let times = min(Int.random(in: 1...300, using: &random), max(1, Self.longest / max(1, part.count)))
            for _ in 0..<times { bytes.insert(contentsOf: part, at: place) }
        case 8: replaceNumber(&bytes, from: place, using: &random)
        case 9, 10, 11, 12: replaceWord(&bytes, from: place, using: &random)
        case 13:
            let other = corpus[Int.random(in: corpus.indices, using: &random)]
            let cut = Int.random(in: 0...other.count, using: &random)
            bytes.replaceSubrange(place..., with: other[cut...])
        default:
            let from = Int.random(in: 0...bytes.count, using: &random)
            bytes.insert(contentsOf: bytes[from..<min(bytes.count, from + 200)], at: place)
        }
        if bytes.count > Self.longest { bytes.removeSubrange(Self.longest...) }
    }

    /// Replaces a word and keeps the structure around it. The new word comes from another input, or
    /// is long.
    private func replaceWord(_ bytes: inout [UInt8], from place: Int, using random: inout SplitMix) {
        func isWord(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte || byte == 0x5F }
        func word(in bytes: [UInt8], from place: Int) -> ArraySlice<UInt8> {
            guard let first = bytes[place...].firstIndex(where: isWord) else { return [] }
            return bytes[first..<(bytes[first...].firstIndex { !isWord($0) } ?? bytes.count)]
        }
        let old = word(in: bytes, from: place)
        let other = corpus[Int.random(in: corpus.indices, using: &random)]
        let new = word(in: other, from: Int.random(in: 0...other.count, using: &random))
        let times = Int.random(in: 0..<8, using: &random) == 0 ? Int.random(in: 2...200, using: &random) : 1
        bytes.replaceSubrange(old.indices, with: Array(repeating: new, count: times).joined())
    }

    private func replaceNumber(_ bytes: inout [UInt8], from place: Int, using random: inout SplitMix) {
        func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
        guard let first = bytes[place...].firstIndex(where: isDigit) ?? bytes.firstIndex(where: isDigit) else { return }
        let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(first..<end, with: Array(Corpus.numbers[Int.random(in: Corpus.numbers.indices, using: &random)].utf8))
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// An input: first the choices, then the bytes from outside, which are cut where the choices say.
struct Input {
    let choices: [UInt8]
    let bytes: ArraySlice<UInt8>

    init(_ input: [UInt8]) {
        choices = input.prefix(4) + [UInt8](repeating: 0, count: max(0, 4 - input.count))
        bytes = input.dropFirst(4)
    }

    var pieces: [ArraySlice<UInt8>] {
        guard choices[0] & 3 != 0 else { return [bytes] }
        var random = SplitMix(state: UInt64(choices[1]) << 8 | UInt64(choices[0]))
        let longest = [1, 7, 60, 900][Int(choices[0] >> 2 & 3)]
        var (pieces, rest): ([ArraySlice<UInt8>], ArraySlice<UInt8>) = ([], bytes)
        while !rest.isEmpty {
            // More pieces take long and show nothing new.
            let length = pieces.count < 200 ? Int.random(in: 1...longest, using: &random) : rest.count
            pieces.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return pieces
    }
}
