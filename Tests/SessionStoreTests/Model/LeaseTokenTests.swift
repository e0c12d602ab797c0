import SessionStore
import TestSupport
import Testing

@Suite("Lease tokens")
struct LeaseTokenTests {
    static let alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

    @Test("A token has only characters of its alphabet")
    func isOfItsAlphabet() {
        var seen: Set<Character> = []
        for _ in 0..<2_000 {
            let token = LeaseToken()
            #expect(token.text.count == 26 && token.nonce.count == 4)
            seen.formUnion(token.text + token.nonce)
        }
        #expect(seen == Set(Self.alphabet))
    }

    @Test("Every position is random")
    func everyPlaceIsRandom() {
        let tokens = (0..<2_000).map { _ in LeaseToken() }
        #expect(Set(tokens.map(\.text)).count == tokens.count)
        for place in 0..<26 { #expect(Set(tokens.map { Array($0.text)[place] }).count == 32, "place \(place)") }
        for place in 0..<4 { #expect(Set(tokens.map { Array($0.nonce)[place] }).count == 32, "place \(place)") }
        // The first twelve characters are the epoch of a history.
        #expect(Set(tokens.map { $0.text.prefix(12) }).count == tokens.count)
    }

    @Test("The nonce is not part of the token")
    func theNonceIsNoPartOfTheToken() {
        let tokens = (0..<200).map { _ in LeaseToken() }
        #expect(tokens.count { $0.text.contains($0.nonce) } < 3)
    }

    @Test("A token comes from its generator")
    func comesFromTheGenerator() {
        var (one, two) = (SeededGenerator(seed: 3), SeededGenerator(seed: 3))
        #expect(LeaseToken(using: &one) == LeaseToken(using: &two))
        #expect(LeaseToken(using: &one) != LeaseToken())
    }

    /// An event id contains the nonce.
    @Test("The nonce fits an event id")
    func theNonceFitsAnEventID() {
        for _ in 0..<200 {
            let id = EventID(step: 1, sequence: 2, nonce: LeaseToken().nonce)
            #expect(EventID(id.description) == id)
        }
    }
}
