/// Fresh call ids.
enum CallIDGenerator {
    static func make() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return "call_"
            + String(unsafeUninitializedCapacity: 24) { bytes in
                for index in 0..<24 { bytes[index] = alphabet.randomElement() ?? UInt8(ascii: "0") }
                return 24
            }
    }
}
