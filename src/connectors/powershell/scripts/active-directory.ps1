# Accounts of an Active Directory domain, with the module ActiveDirectory (RSAT) over ADWS.
#
# Settings: server (a domain controller), searchBase, newAccountsIn (a container's DN), upnSuffix, user, verifySignInAt (host of LDAPS).
# Secrets: password, with the setting user; without both the host's own identity is used, for instance a gMSA.
# Native id: objectGUID. Login: sAMAccountName. Entitlements: groups by DN; the primary group is not shown.

$script:TenureFunctions = @(
    'Open-TenureConnection', 'Test-TenureConnection', 'Get-TenureSchema',
    'Get-TenureAccount', 'Find-TenureAccount', 'Get-TenureAccountPage',
    'New-TenureAccount', 'Set-TenureAccount', 'Disable-TenureAccount', 'Enable-TenureAccount',
    'Remove-TenureAccount', 'Protect-TenureAccount', 'Set-TenureSecret',
    'Get-TenureMemberPage', 'Add-TenureMember', 'Remove-TenureMember', 'Test-TenureSignIn'
)
$script:TenureErrors = @{
    ADServerDownException            = 'UNAVAILABLE'
    ADIdentityNotFoundException      = 'NOT_FOUND'
    ADIdentityAlreadyExistsException = 'ALREADY_EXISTS'
    ADPasswordComplexityException    = 'INVALID'
    ADPasswordException              = 'INVALID'
    ADInvalidPasswordException       = 'INVALID'
    AuthenticationException          = 'UNAUTHENTICATED'
    InvalidCredentialException       = 'UNAUTHENTICATED'
    UnauthorizedAccessException      = 'FORBIDDEN'
    TimeoutException                 = 'TIMEOUT'
}
$script:TenureRoad = @{}

function Open-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    Import-Module -Name ActiveDirectory
    $road = @{ Server = (Get-TenureSetting -Name 'server' -Needed) }
    $user = Get-TenureSetting -Name 'user'
    if (($null -ne $user) -and $Secrets.ContainsKey('password')) {
        $password = ConvertTo-TenureSecret -Text $Secrets['password']
        $road['Credential'] = [System.Management.Automation.PSCredential]::new($user, $password)
    }
    $script:TenureRoad = $road
    # Also the proof that the domain controller takes the credential.
    $script:TenureDomain = Get-ADDomain @road
    return $null
}

function Test-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $null = Get-ADDomain @road
    return $null
}

# Every attribute that users may have, from the schema: the class itself, those above it and its auxiliary ones.
function Get-TenureSchema {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $base = (Get-ADRootDSE @road).schemaNamingContext
    $found = @(Get-ADObject @road -SearchBase $base -LDAPFilter '(objectClass=attributeSchema)' -Properties 'lDAPDisplayName')
    return @{ properties = @($found | ForEach-Object { [string]$_.lDAPDisplayName }) }
}

# RFC 4515: no value can leave its place in a filter.
function ConvertTo-TenureFilterValue {
    param([string]$Text)
    $escaped = [System.Text.StringBuilder]::new()
    foreach ($byte in [System.Text.Encoding]::UTF8.GetBytes($Text)) {
        $null = $escaped.Append('\').Append($byte.ToString('x2'))
    }
    return $escaped.ToString()
}

function ConvertTo-TenureAccount {
    param([object]$User, [object[]]$Properties)
    $shown = @{}
    foreach ($name in $Properties) {
        $value = ConvertTo-TenureValue -Value $User[$name].Value
        if ($null -ne $value) { $shown[$name] = $value }
    }
    $status = 'unknown'
    if ($User.Enabled -eq $false) { $status = 'disabled' }
    elseif (($User.Enabled -eq $true) -and ($User.LockedOut -eq $true)) { $status = 'locked' }
    elseif ($User.Enabled -eq $true) { $status = 'enabled' }
    return @{
        nativeId     = [string]$User.ObjectGUID
        login        = [string]$User.SamAccountName
        status       = $status
        properties   = $shown
        entitlements = @($User.MemberOf | Where-Object { $null -ne $_ } | ForEach-Object { [string]$_ })
    }
}

function Get-TenureWanted {
    param([object[]]$Properties)
    return @('Enabled', 'LockedOut', 'MemberOf') + @($Properties)
}

# Undefined when there is none; any other failure is an error.
function Get-TenureUser {
    param([string]$NativeId, [object[]]$Properties)
    $road = $script:TenureRoad
    $guid = [guid]::Empty
    if (-not [guid]::TryParse($NativeId, [ref]$guid)) { return $null }
    $bytes = [System.Text.StringBuilder]::new()
    foreach ($byte in $guid.ToByteArray()) { $null = $bytes.Append('\').Append($byte.ToString('x2')) }
    $filter = '(&(objectCategory=person)(objectClass=user)(objectGUID={0}))' -f $bytes
    $base = Get-TenureSearchBase
    return Get-ADUser @road -SearchBase $base -LDAPFilter $filter -Properties (Get-TenureWanted -Properties $Properties)
}

function Get-TenureSearchBase {
    $base = Get-TenureSetting -Name 'searchBase'
    if ($null -ne $base) { return $base }
    return [string]$script:TenureDomain.DistinguishedName
}

function Get-TenureNeeded {
    param([string]$NativeId)
    $user = Get-TenureUser -NativeId $NativeId -Properties @()
    if ($null -eq $user) { throw (New-TenureFault -Code 'NOT_FOUND' -TargetCode 'NoSuchUser') }
    return $user
}

function Get-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $properties = @($Arguments['properties'])
    $user = Get-TenureUser -NativeId $Arguments['nativeId'] -Properties $properties
    if ($null -eq $user) { return $null }
    return ConvertTo-TenureAccount -User $user -Properties $properties
}

function Find-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $properties = @($Arguments['properties'])
    $name = $Arguments['property']
    if ($null -eq $name) { $name = 'sAMAccountName' }
    if ($name -notmatch '^[A-Za-z][A-Za-z0-9-]*$') {
        throw (New-TenureFault -Code 'INVALID' -TargetCode 'PropertyName' -Attribute $name)
    }
    $value = ConvertTo-TenureFilterValue -Text $Arguments['value']
    $filter = '(&(objectCategory=person)(objectClass=user)({0}={1}))' -f $name, $value
    $base = Get-TenureSearchBase
    $users = @(Get-ADUser @road -SearchBase $base -LDAPFilter $filter -Properties (Get-TenureWanted -Properties $properties))
    $found = @($users | ForEach-Object { ConvertTo-TenureAccount -User $_ -Properties $properties })
    return @{ accounts = $found }
}

# All GUIDs, in their order, then the accounts of one page: accounts that come and go move no page.
function Get-TenureAccountPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $properties = @($Arguments['properties'])
    $base = Get-TenureSearchBase
    $all = @(Get-ADUser @road -SearchBase $base -LDAPFilter '(&(objectCategory=person)(objectClass=user))')
    $ids = @(Get-TenureSorted -Ids @($all | ForEach-Object { [string]$_.ObjectGUID }))
    $page = Select-TenurePage -Sorted $ids -After $Arguments['after'] -Size $Arguments['size']
    $accounts = [System.Collections.Generic.List[object]]::new()
    foreach ($id in $page['ids']) {
        $user = Get-TenureUser -NativeId $id -Properties $properties
        if ($null -ne $user) { $accounts.Add((ConvertTo-TenureAccount -User $user -Properties $properties)) }
    }
    # All of a page gone at once: the caller asks again instead of ending its list.
    if ($page['more'] -and ($accounts.Count -eq 0)) { throw (New-TenureFault -Code 'UNAVAILABLE' -TargetCode 'PageGone') }
    return @{ accounts = $accounts.ToArray(); more = $page['more'] }
}

function Get-TenurePrincipalName {
    param([string]$Login)
    $suffix = Get-TenureSetting -Name 'upnSuffix'
    if ($null -eq $suffix) { $suffix = [string]$script:TenureDomain.DNSRoot }
    return '{0}@{1}' -f $Login, $suffix
}

# Made disabled, with all its attributes; enabled last, with a password that nobody knows.
function New-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $login = [string]$Arguments['login']
    $others = @{}
    foreach ($pair in $Arguments['properties'].GetEnumerator()) {
        if ($null -ne $pair.Value) { $others[$pair.Key] = $pair.Value }
    }
    $random = [Convert]::ToBase64String([System.Security.Cryptography.RandomNumberGenerator]::GetBytes(33)) + 'aA1-'
    $user = @{
        Name              = $login
        SamAccountName    = $login
        UserPrincipalName = Get-TenurePrincipalName -Login $login
        Path              = Get-TenureSetting -Name 'newAccountsIn' -Needed
        AccountPassword   = ConvertTo-TenureSecret -Text $random
        Enabled           = [bool]$Arguments['enabled']
        PassThru          = $true
    }
    if ($others.Count -gt 0) { $user['OtherAttributes'] = $others }
    $made = New-ADUser @road @user
    return @{ nativeId = [string]$made.ObjectGUID }
}

# One Set-ADUser for attributes and login together; a new login renames the object last.
function Set-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $replace = @{}
    $clear = [System.Collections.Generic.List[string]]::new()
    foreach ($pair in $Arguments['properties'].GetEnumerator()) {
        if ($null -eq $pair.Value) { $clear.Add($pair.Key) }
        else { $replace[$pair.Key] = $pair.Value }
    }
    $change = @{ Identity = $user.ObjectGUID }
    if ($replace.Count -gt 0) { $change['Replace'] = $replace }
    if ($clear.Count -gt 0) { $change['Clear'] = $clear.ToArray() }
    $login = $Arguments['login']
    if ($null -ne $login) {
        $change['SamAccountName'] = $login
        $change['UserPrincipalName'] = Get-TenurePrincipalName -Login $login
    }
    Set-ADUser @road @change
    if ($null -ne $login) { Rename-ADObject @road -Identity $user.ObjectGUID -NewName $login }
    return $null
}

function Disable-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    Disable-ADAccount @road -Identity $user.ObjectGUID
    return $null
}

function Enable-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    Enable-ADAccount @road -Identity $user.ObjectGUID
    return $null
}

function Remove-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureUser -NativeId $Arguments['nativeId'] -Properties @()
    if ($null -ne $user) { Remove-ADUser @road -Identity $user.ObjectGUID -Confirm:$false }
    return $null
}

# Disabled first: what breaks off in between is cut, with the old password.
function Protect-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $password = ConvertTo-TenureSecret -Text $Secrets['secret']
    Disable-ADAccount @road -Identity $user.ObjectGUID
    Set-ADAccountPassword @road -Identity $user.ObjectGUID -Reset -NewPassword $password
    return $null
}

function Set-TenureSecret {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $password = ConvertTo-TenureSecret -Text $Secrets['secret']
    Set-ADAccountPassword @road -Identity $user.ObjectGUID -Reset -NewPassword $password
    return $null
}

function Get-TenureGroup {
    param([string]$Name)
    $road = $script:TenureRoad
    try {
        return Get-ADGroup @road -Identity $Name
    }
    catch [Microsoft.ActiveDirectory.Management.ADIdentityNotFoundException] {
        throw (New-TenureFault -Code 'INVALID' -TargetCode 'NoSuchGroup' -Attribute 'entitlement')
    }
}

# Direct members, from the group's own side.
function Get-TenureMemberPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $value = ConvertTo-TenureFilterValue -Text $group.DistinguishedName
    $filter = '(&(objectCategory=person)(objectClass=user)(memberOf={0}))' -f $value
    $base = Get-TenureSearchBase
    $people = @(Get-ADUser @road -SearchBase $base -LDAPFilter $filter | ForEach-Object { [string]$_.ObjectGUID })
    $ids = @(Get-TenureSorted -Ids $people)
    $page = Select-TenurePage -Sorted $ids -After $Arguments['after'] -Size $Arguments['size']
    return @{ members = $page['ids']; more = $page['more'] }
}

function Add-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    # A member that is there already is no error of this cmdlet.
    Add-ADGroupMember @road -Identity $group.ObjectGUID -Members $user.ObjectGUID
    return $null
}

function Remove-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $road = $script:TenureRoad
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    if ($user.MemberOf -contains $group.DistinguishedName) {
        Remove-ADGroupMember @road -Identity $group.ObjectGUID -Members $user.ObjectGUID -Confirm:$false
    }
    return $null
}

# A bind over LDAPS on a connection of its own. Only the directory's own sub-code says why somebody is refused.
function Test-TenureSignIn {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $server = Get-TenureSetting -Name 'verifySignInAt'
    if ($null -eq $server) { $server = Get-TenureSetting -Name 'server' -Needed }
    Add-Type -AssemblyName 'System.DirectoryServices.Protocols'
    $place = [System.DirectoryServices.Protocols.LdapDirectoryIdentifier]::new($server, 636)
    $connection = [System.DirectoryServices.Protocols.LdapConnection]::new($place)
    try {
        $connection.AuthType = [System.DirectoryServices.Protocols.AuthType]::Basic
        $connection.SessionOptions.SecureSocketLayer = $true
        $connection.SessionOptions.ProtocolVersion = 3
        $connection.Timeout = [timespan]::FromSeconds(10)
        $who = Get-TenurePrincipalName -Login $Arguments['login']
        $password = ConvertTo-TenureSecret -Text $Secrets['secret']
        $connection.Bind([System.Net.NetworkCredential]::new($who, $password))
        return @{ answer = 'accepted'; code = '0' }
    }
    catch [System.DirectoryServices.Protocols.LdapException] {
        $code = 'none'
        if ([string]$_.Exception.ServerErrorMessage -match 'data ([0-9a-f]{1,8})') { $code = $Matches[1] }
        $answers = @{ '52e' = 'wrong-secret'; '533' = 'disabled'; '775' = 'locked' }
        $answer = 'unknown'
        if ($answers.ContainsKey($code)) { $answer = $answers[$code] }
        return @{ answer = $answer; code = $code }
    }
    finally {
        $connection.Dispose()
    }
}
