# The host loop: one line of JSON in, one line of JSON out. PowerShell 7.5 or newer.
#
#   pwsh -NoLogo -NoProfile -NonInteractive -File tenure-host.ps1 active-directory
#
# The argument is the name of a set beside this file, or the full path of a set of your own. A set defines functions and two variables:
# $TenureFunctions (the names that may be asked for) and $TenureErrors (exception type -> code). Each function takes two hashtables,
# arguments and secrets, and gives back what is to be answered. No script may name the automatic variable for piped input: PowerShell would
# then read the requests itself.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$WarningPreference = 'SilentlyContinue'
$InformationPreference = 'SilentlyContinue'
$VerbosePreference = 'SilentlyContinue'
$ProgressPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'

$script:TenureCodes = @(
    'UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED', 'AMBIGUOUS', 'CONFLICT', 'ALREADY_EXISTS',
    'NOT_FOUND', 'INVALID', 'UNAUTHENTICATED', 'FORBIDDEN', 'UNSUPPORTED'
)
$script:TenureSettings = @{}

# An error that a set raises on purpose, before it has written anything.
function New-TenureFault {
    param([string]$Code, [string]$TargetCode, [string]$Attribute)
    $fault = [System.InvalidOperationException]::new('refused')
    $fault.Data['TenureCode'] = $Code
    $fault.Data['TenureTargetCode'] = $TargetCode
    $fault.Data['TenureAttribute'] = $Attribute
    return $fault
}

# A setting of the configuration; a setting that is needed and missing is a fault.
function Get-TenureSetting {
    param([string]$Name, [switch]$Needed)
    if ($script:TenureSettings.ContainsKey($Name)) { return $script:TenureSettings[$Name] }
    if ($Needed) { throw (New-TenureFault -Code 'INVALID' -TargetCode 'SettingMissing' -Attribute $Name) }
    return $null
}

function ConvertTo-TenureSecret {
    param([string]$Text)
    $secure = [System.Security.SecureString]::new()
    foreach ($char in $Text.ToCharArray()) { $secure.AppendChar($char) }
    $secure.MakeReadOnly()
    return $secure
}

# One page of what is already in the order of its ids.
function Select-TenurePage {
    param([object[]]$Sorted, [object]$After, [int]$Size)
    # Ordinal comparison: the order must not depend on the machine's language.
    $rest = @($Sorted | Where-Object {
            ($null -ne $_) -and (($null -eq $After) -or ([string]::CompareOrdinal([string]$_, [string]$After) -gt 0))
        })
    return @{ ids = @($rest | Select-Object -First $Size); more = ($rest.Count -gt $Size) }
}

function Get-TenureSorted {
    param([object[]]$Ids)
    $list = [System.Collections.Generic.List[string]]::new()
    foreach ($id in $Ids) { $list.Add([string]$id) }
    $list.Sort([System.StringComparer]::Ordinal)
    return $list.ToArray()
}

# What a property shows: text, a number, a boolean, a list of texts, or nothing.
function ConvertTo-TenureValue {
    param([object]$Value)
    if ($null -eq $Value) { return $null }
    if (($Value -is [string]) -or ($Value -is [bool]) -or ($Value -is [int]) -or ($Value -is [long]) -or ($Value -is [double])) {
        return $Value
    }
    if ($Value -is [datetime]) { return $Value.ToUniversalTime().ToString('o') }
    if ($Value -is [System.Collections.IEnumerable]) {
        $items = @($Value | ForEach-Object { [string]$_ })
        if ($items.Count -eq 0) { return $null }
        return , $items
    }
    return [string]$Value
}

# The texts of errors never leave this machine: a code from a closed list, and the name of an exception's type.
function ConvertTo-TenureError {
    param([System.Management.Automation.ErrorRecord]$Record)
    $exception = $Record.Exception
    if ($exception.Data.Contains('TenureCode')) {
        $known = @{ code = [string]$exception.Data['TenureCode']; targetCode = [string]$exception.Data['TenureTargetCode']; sent = $false }
        $attribute = [string]$exception.Data['TenureAttribute']
        if ($attribute -ne '') { $known['attribute'] = $attribute }
        return $known
    }
    $code = 'UNAVAILABLE'
    $type = $exception.GetType().Name
    for ($one = $exception; $null -ne $one; $one = $one.InnerException) {
        $name = $one.GetType().Name
        if ($script:TenureErrors.ContainsKey($name)) {
            $code = $script:TenureErrors[$name]
            $type = $name
            break
        }
    }
    if ($script:TenureCodes -cnotcontains $code) { $code = 'UNAVAILABLE' }
    # A function does one thing after another: what failed may have come after a write.
    return @{ code = $code; targetCode = $type }
}

function Write-TenureFrame {
    param([hashtable]$Frame)
    $line = ConvertTo-Json -InputObject $Frame -Compress -Depth 12 -EscapeHandling EscapeNonAscii
    [Console]::Out.WriteLine($line)
    [Console]::Out.Flush()
}

function Invoke-TenureRequest {
    param([hashtable]$Request)
    $name = [string]$Request['command']
    $arguments = $Request['arguments']
    $secrets = @{}
    if ($Request.ContainsKey('secrets')) { $secrets = $Request['secrets'] }
    if ($name -ceq 'Open-TenureConnection') {
        $script:TenureAllowed = @($arguments['allowed'])
        $script:TenureSettings = $arguments['settings']
    }
    # Both lists must hold the name: the set's own, and the one of the configuration.
    if (($script:TenureFunctions -cnotcontains $name) -or ($script:TenureAllowed -cnotcontains $name)) {
        throw (New-TenureFault -Code 'UNSUPPORTED' -TargetCode 'NotAllowed')
    }
    $function = Get-Command -Name $name -CommandType Function
    # Only the output stream is an answer; everything else would break the line.
    return & $function $arguments $secrets 3>$null 4>$null 5>$null 6>$null
}

$script:TenureAllowed = @()
$set = [string]$args[0]
if (-not [System.IO.Path]::IsPathRooted($set)) { $set = Join-Path -Path $PSScriptRoot -ChildPath ($set + '.ps1') }
. $set 3>$null 4>$null 5>$null 6>$null

Write-TenureFrame -Frame @{
    tenure    = 'ready'
    protocol  = 1
    scripts   = [System.IO.Path]::GetFileNameWithoutExtension($set)
    functions = @($script:TenureFunctions)
}

while ($true) {
    $line = [Console]::In.ReadLine()
    if ($null -eq $line) { break }
    $id = ''
    try {
        $request = ConvertFrom-Json -InputObject $line -AsHashtable -Depth 12 -DateKind String
        $id = [string]$request['id']
        $result = Invoke-TenureRequest -Request $request
        Write-TenureFrame -Frame @{ id = $id; ok = $true; result = $result }
    }
    catch {
        Write-TenureFrame -Frame @{ id = $id; ok = $false; error = (ConvertTo-TenureError -Record $_) }
        $Error.Clear()
    }
}
