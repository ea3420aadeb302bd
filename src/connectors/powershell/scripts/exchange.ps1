# Mailboxes of Exchange Online, with the module ExchangeOnlineManagement (3.x). Whose they are is the directory's: none is made or deleted.
#
# Settings: organization, appId, certificatePath (a PFX on the host), or managedIdentity (true). Secrets: certificatePassword.
# Native id: ExternalDirectoryObjectId. Login: UserPrincipalName. Entitlements: distribution groups by ExternalDirectoryObjectId.

$script:TenureFunctions = @(
    'Open-TenureConnection', 'Test-TenureConnection', 'Get-TenureSchema',
    'Get-TenureAccount', 'Find-TenureAccount', 'Get-TenureAccountPage', 'Set-TenureAccount',
    'Get-TenureMemberPage', 'Add-TenureMember', 'Remove-TenureMember',
    'Get-TenureForwarding', 'Set-TenureForwarding'
)
$script:TenureErrors = @{
    ManagementObjectNotFoundException  = 'NOT_FOUND'
    ManagementObjectAmbiguousException = 'CONFLICT'
    ProxyAddressExistsException        = 'ALREADY_EXISTS'
    MsalServiceException               = 'UNAUTHENTICATED'
    MsalClientException                = 'UNAUTHENTICATED'
    UnauthorizedAccessException        = 'FORBIDDEN'
    TaskCanceledException              = 'TIMEOUT'
    HttpRequestException               = 'UNAVAILABLE'
}
# What policy may write, by the parameter of Set-Mailbox.
$script:TenureWritable = @(
    'DisplayName', 'HiddenFromAddressListsEnabled',
    'CustomAttribute1', 'CustomAttribute2', 'CustomAttribute3', 'CustomAttribute4', 'CustomAttribute5',
    'CustomAttribute6', 'CustomAttribute7', 'CustomAttribute8', 'CustomAttribute9', 'CustomAttribute10',
    'CustomAttribute11', 'CustomAttribute12', 'CustomAttribute13', 'CustomAttribute14', 'CustomAttribute15'
)

function Open-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    Import-Module -Name ExchangeOnlineManagement
    $road = @{ Organization = (Get-TenureSetting -Name 'organization' -Needed); ShowBanner = $false }
    if ((Get-TenureSetting -Name 'managedIdentity') -eq $true) {
        $road['ManagedIdentity'] = $true
    }
    else {
        $road['AppId'] = Get-TenureSetting -Name 'appId' -Needed
        $road['CertificateFilePath'] = Get-TenureSetting -Name 'certificatePath' -Needed
        $road['CertificatePassword'] = ConvertTo-TenureSecret -Text $Secrets['certificatePassword']
    }
    $null = Connect-ExchangeOnline @road
    return $null
}

function Test-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $live = @(Get-ConnectionInformation | Where-Object { $_.State -eq 'Connected' })
    if ($live.Count -eq 0) { throw (New-TenureFault -Code 'UNAVAILABLE' -TargetCode 'NotConnected') }
    $null = Get-OrganizationConfig
    return $null
}

function Get-TenureSchema {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    return @{ properties = @($script:TenureWritable) + @('PrimarySmtpAddress', 'Alias', 'RecipientTypeDetails', 'WhenCreatedUTC') }
}

# Undefined when there is none; the filter's value is a GUID and nothing else.
function Get-TenureMailbox {
    param([string]$NativeId)
    $guid = [guid]::Empty
    if (-not [guid]::TryParse($NativeId, [ref]$guid)) { return $null }
    $found = @(Get-Mailbox -Filter ("ExternalDirectoryObjectId -eq '{0}'" -f $guid.ToString('d')))
    if ($found.Count -eq 0) { return $null }
    return $found[0]
}

function Get-TenureNeeded {
    param([string]$NativeId)
    $mailbox = Get-TenureMailbox -NativeId $NativeId
    if ($null -eq $mailbox) { throw (New-TenureFault -Code 'NOT_FOUND' -TargetCode 'NoSuchMailbox') }
    return $mailbox
}

# Whether somebody may sign in is the directory's to say. Groups are left out of lists: they cost a request per mailbox.
function ConvertTo-TenureAccount {
    param([object]$Mailbox, [object[]]$Properties, [switch]$WithGroups)
    $shown = @{}
    foreach ($name in $Properties) {
        $there = $Mailbox.PSObject.Properties[$name]
        if ($null -eq $there) { continue }
        $value = ConvertTo-TenureValue -Value $there.Value
        if ($null -ne $value) { $shown[$name] = $value }
    }
    $groups = $null
    if ($WithGroups) {
        # A quote in a DN is doubled: it stays within the filter's quotes.
        $name = ([string]$Mailbox.DistinguishedName).Replace("'", "''")
        $groups = @(Get-DistributionGroup -ResultSize Unlimited -Filter ("Members -eq '{0}'" -f $name) |
                ForEach-Object { [string]$_.ExternalDirectoryObjectId })
    }
    return @{
        nativeId     = [string]$Mailbox.ExternalDirectoryObjectId
        login        = [string]$Mailbox.UserPrincipalName
        status       = 'unknown'
        properties   = $shown
        entitlements = $groups
    }
}

function Get-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $mailbox = Get-TenureMailbox -NativeId $Arguments['nativeId']
    if ($null -eq $mailbox) { return $null }
    return ConvertTo-TenureAccount -Mailbox $mailbox -Properties @($Arguments['properties']) -WithGroups
}

function Find-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $name = $Arguments['property']
    if ($null -eq $name) { $name = 'UserPrincipalName' }
    if ($name -notmatch '^[A-Za-z][A-Za-z0-9]*$') {
        throw (New-TenureFault -Code 'INVALID' -TargetCode 'PropertyName' -Attribute $name)
    }
    $value = ([string]$Arguments['value']).Replace("'", "''")
    $found = @(Get-Mailbox -ResultSize Unlimited -Filter ("{0} -eq '{1}'" -f $name, $value))
    # The filter knows patterns: only what is equal is what was asked for.
    $same = @($found | Where-Object { [string]$_.$name -eq [string]$Arguments['value'] })
    $accounts = @($same | ForEach-Object { ConvertTo-TenureAccount -Mailbox $_ -Properties @($Arguments['properties']) })
    return @{ accounts = $accounts }
}

function Get-TenureAccountPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $byId = @{}
    foreach ($mailbox in @(Get-Mailbox -ResultSize Unlimited)) { $byId[[string]$mailbox.ExternalDirectoryObjectId] = $mailbox }
    $byId.Remove('')
    $ids = @(Get-TenureSorted -Ids @($byId.Keys))
    $page = Select-TenurePage -Sorted $ids -After $Arguments['after'] -Size $Arguments['size']
    $properties = @($Arguments['properties'])
    $accounts = @($page['ids'] | ForEach-Object { ConvertTo-TenureAccount -Mailbox $byId[$_] -Properties $properties })
    return @{ accounts = $accounts; more = $page['more'] }
}

function Set-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $mailbox = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $change = @{ Identity = [string]$mailbox.ExternalDirectoryObjectId }
    foreach ($pair in $Arguments['properties'].GetEnumerator()) {
        if ($script:TenureWritable -cnotcontains $pair.Key) {
            throw (New-TenureFault -Code 'INVALID' -TargetCode 'NotWritable' -Attribute $pair.Key)
        }
        $change[$pair.Key] = $pair.Value
    }
    Set-Mailbox @change
    return $null
}

function Get-TenureGroup {
    param([string]$Name)
    $guid = [guid]::Empty
    if ([guid]::TryParse($Name, [ref]$guid)) {
        $found = @(Get-DistributionGroup -Filter ("ExternalDirectoryObjectId -eq '{0}'" -f $guid.ToString('d')))
        if ($found.Count -eq 1) { return $found[0] }
    }
    throw (New-TenureFault -Code 'INVALID' -TargetCode 'NoSuchGroup' -Attribute 'entitlement')
}

function Get-TenureMemberPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $members = @(Get-DistributionGroupMember -Identity ([string]$group.ExternalDirectoryObjectId) -ResultSize Unlimited |
            ForEach-Object { [string]$_.ExternalDirectoryObjectId } | Where-Object { $_ -ne '' })
    $page = Select-TenurePage -Sorted @(Get-TenureSorted -Ids $members) -After $Arguments['after'] -Size $Arguments['size']
    return @{ members = $page['ids']; more = $page['more'] }
}

function Test-TenureMember {
    param([object]$Group, [object]$Mailbox)
    $members = @(Get-DistributionGroupMember -Identity ([string]$Group.ExternalDirectoryObjectId) -ResultSize Unlimited)
    return (@($members | Where-Object { $_.ExternalDirectoryObjectId -eq $Mailbox.ExternalDirectoryObjectId }).Count -gt 0)
}

function Add-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $mailbox = Get-TenureNeeded -NativeId $Arguments['nativeId']
    if (-not (Test-TenureMember -Group $group -Mailbox $mailbox)) {
        $member = [string]$mailbox.ExternalDirectoryObjectId
        Add-DistributionGroupMember -Identity ([string]$group.ExternalDirectoryObjectId) -Member $member -BypassSecurityGroupManagerCheck -Confirm:$false
    }
    return $null
}

function Remove-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $mailbox = Get-TenureNeeded -NativeId $Arguments['nativeId']
    if (Test-TenureMember -Group $group -Mailbox $mailbox) {
        $member = [string]$mailbox.ExternalDirectoryObjectId
        Remove-DistributionGroupMember -Identity ([string]$group.ExternalDirectoryObjectId) -Member $member -BypassSecurityGroupManagerCheck -Confirm:$false
    }
    return $null
}

# Exchange's automatic reply has no subject: it is the first paragraph, and what follows is the text.
function ConvertTo-TenureReply {
    param([string]$Subject, [string]$Text)
    $html = [System.Net.WebUtility]::HtmlEncode($Text).Replace("`r", '').Replace("`n", '<br>')
    return '<p>{0}</p><p>{1}</p>' -f [System.Net.WebUtility]::HtmlEncode($Subject), $html
}

# Undefined: a reply that is not of this form. It is shown as a text without a subject, never as none.
function ConvertFrom-TenureReply {
    param([string]$Html)
    $plain = [regex]::Replace($Html, '</?(html|head|body|div|span)[^>]*>', '', 'IgnoreCase').Trim()
    $parts = [regex]::Match($plain, '^<p>(?<subject>.*?)</p>\s*<p>(?<text>.*)</p>$', 'IgnoreCase, Singleline')
    if (-not $parts.Success) { return @{ subject = ''; text = $plain } }
    $text = [regex]::Replace($parts.Groups['text'].Value, '<br\s*/?>', "`n", 'IgnoreCase')
    return @{
        subject = [System.Net.WebUtility]::HtmlDecode($parts.Groups['subject'].Value)
        text    = [System.Net.WebUtility]::HtmlDecode($text)
    }
}

function Get-TenureForwarding {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $mailbox = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $reply = Get-MailboxAutoReplyConfiguration -Identity ([string]$mailbox.ExternalDirectoryObjectId)
    $answer = $null
    if ([string]$reply.AutoReplyState -ne 'Disabled') { $answer = ConvertFrom-TenureReply -Html ([string]$reply.ExternalMessage) }
    $to = [string]$mailbox.ForwardingSmtpAddress
    # A forwarding to a recipient of the organisation is one, too: its name is shown, so that it is never taken for none.
    if ($to -eq '') { $to = [string]$mailbox.ForwardingAddress }
    if ($to -eq '') { $to = $null }
    else { $to = $to -replace '^smtp:', '' }
    $keeps = ($null -eq $to) -or ($mailbox.DeliverToMailboxAndForward -eq $true)
    return @{ to = $to; keepsCopy = $keeps; autoReply = $answer }
}

function Set-TenureForwarding {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $mailbox = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $identity = [string]$mailbox.ExternalDirectoryObjectId
    $keeps = ($null -ne $Arguments['to']) -and [bool]$Arguments['keepsCopy']
    Set-Mailbox -Identity $identity -ForwardingSmtpAddress $Arguments['to'] -ForwardingAddress $null -DeliverToMailboxAndForward $keeps
    $reply = $Arguments['autoReply']
    if ($null -eq $reply) {
        Set-MailboxAutoReplyConfiguration -Identity $identity -AutoReplyState Disabled
    }
    else {
        $message = ConvertTo-TenureReply -Subject $reply['subject'] -Text $reply['text']
        Set-MailboxAutoReplyConfiguration -Identity $identity -AutoReplyState Enabled -InternalMessage $message -ExternalMessage $message -ExternalAudience All
    }
    return $null
}
