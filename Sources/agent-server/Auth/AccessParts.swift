import Logging
import NIOCore
import ServiceLifecycle

/// The parts of a server that find the principals of requests, connected with each other.
struct AccessParts: Sendable {
    let store: CredentialStore
    /// All kinds of credentials, in the order in which they count.
    let chain: CredentialChain
    let files: CredentialFiles
    /// Fetches the issuer's keys; nil if no URL has them.
    let issuer: IssuerKeySource?
    /// Signs tickets for streams; nil if the server issues none.
    let tickets: TicketAuthority?

    /// Reads the files that the settings name.
    ///
    /// - Throws: ``SettingsError`` for a file that cannot be used.
    init(_ settings: Settings, group: any EventLoopGroup, logger: Logger, audit: AuditLog) async throws(SettingsError) {
        let internalKey = settings.internalAPIKey
        let limits = settings.usageLimits
        let store = CredentialStore(KeyTable(internalKey: internalKey, limits: limits))
        var files: [CredentialFile] = []
        if let path = settings.keysFile {
            let file = CredentialFile(of: "keys", path: path, maximumBytes: KeysFile.maximumBytes) { bytes throws(CredentialFileError) in
                let file = try KeysFile(parsing: bytes)
                store.replace(try KeyTable(internalKey: internalKey, file: file, limits: limits))
                return file.keys.count
            }
            files.append(try await Self.read(file, Setting.keysFile))
        }
        var issuer: IssuerKeySource?
        switch settings.tokens?.keys {
        case .url(let url):
            let request = IssuerRequest(url: url, group: group)
            issuer = IssuerKeySource(store: store, logger: logger) { () throws(CredentialFileError) in try await request.body() }
        case .file(let path):
            let file = CredentialFile(of: "the issuer's keys", path: path, maximumBytes: IssuerKeys.maximumBytes) {
                bytes throws(CredentialFileError) in
                let keys = try await IssuerKeys(parsing: bytes)
                store.replace(keys)
                return keys.count
            }
            files.append(try await Self.read(file, Setting.tokenKeysFile))
        case nil: break
        }
        let tokens = settings.tokens.map { TokenVerifier(rules: $0.rules, store: store, source: issuer) }
        self.store = store
        self.issuer = issuer
        self.files = CredentialFiles(files, logger: logger, audit: audit)
        tickets = settings.ticketKeys.flatMap { TicketAuthority(keys: $0) }
        var kinds: [any Authenticator] = [HeaderAuthenticator(store: store, tokens: tokens)]
        if let tickets { kinds.append(TicketAuthenticator(authority: tickets)) }
        chain = CredentialChain(kinds: settings.hasCredentials ? kinds : [OpenAuthenticator(limits: limits)])
    }

    /// Read files and fetch keys again.
    var services: [any Service] { [files] + [issuer].compactMap(\.self) }

    /// Reads a file for the first time.
    private static func read(_ file: CredentialFile, _ setting: any SettingEntry) async throws(SettingsError) -> CredentialFile {
        var file = file
        do throws(CredentialFileError) { _ = try await file.read() } catch { throw SettingsError(setting, "\(file.path): \(error)") }
        return file
    }
}
